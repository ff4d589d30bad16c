"""The paper as Slurm array jobs, through submitit: nothing stays behind on the login node, state is files.

cluster.py   cluster.toml: what every stage asks for
arrays.py    from runs to arrays: stages, bundles, what waits for what
queue.py     what squeue knows about the arrays of a results folder
submit.py    reconcile what is wanted with records and queue, and submit the rest
sbatch.py    one array's batch script and its submission
job.py       what a task does on its node
simulate.py  how long arrays would take, for plan --gpus
forecast.py  the table of plan --gpus
schedule.py  the picture of plan --gpus
snapshot.py  the code that tasks run: as it was when they were submitted
"""
