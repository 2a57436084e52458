from django.apps import AppConfig


class VsadminConfig(AppConfig):
    name = "vsadmin"
    label = "vsadmin"
    verbose_name = "vsadmin"
