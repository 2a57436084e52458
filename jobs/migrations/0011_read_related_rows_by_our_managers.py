"""The managers that Django reads related rows with.  Changes no table."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("jobs", "0010_refuse_values_that_overflow")]

    operations = [
        migrations.AlterModelOptions(
            name="jobdefinition",
            options={
                "base_manager_name": "objects",
                "ordering": ("id",),
                "permissions": (("run_jobdefinition", "Can run jobs"), ("pause_jobdefinition", "Can pause and resume jobs")),
                "verbose_name": "job",
                "verbose_name_plural": "jobs",
            },
        ),
        migrations.AlterModelOptions(
            name="jobrun",
            options={
                "base_manager_name": "objects",
                "ordering": ("-id",),
                "permissions": (("cancel_jobrun", "Can cancel runs"),),
                "verbose_name": "run",
                "verbose_name_plural": "runs",
            },
        ),
        migrations.AlterModelOptions(name="scheduledjob", options={"base_manager_name": "objects", "managed": False}),
    ]
