from django.db import migrations


class Migration(migrations.Migration):
    """Classes get the words of the code; their tables keep their names, so only Django's state and content types change."""

    dependencies = [
        ('jobs', '0006_return_only_runs_that_were_stored'),
    ]

    operations = [
        migrations.AlterModelTable(name='LateRun', table='jobs_laterun'),
        migrations.AlterModelTable(name='RunTally', table='jobs_runtally'),
        migrations.RenameModel(old_name='LateRun', new_name='PendingRollup'),
        migrations.RenameModel(old_name='RunTally', new_name='RollupCursor'),
    ]
