"""Time and peak memory of each stage of a finished run, from the files that Snakemake wrote beside it.

`python benchmarks/stages.py results` prints a Markdown table.
"""

import sys

from avpretext.flow.paths import Layout
from avpretext.report.contents import benchmark_rows

if __name__ == "__main__":
    print("| stage | jobs | seconds, all jobs | peak memory of a job, MB |\n|---|---:|---:|---:|")
    for row in benchmark_rows(Layout(sys.argv[1])):
        print(f"| {row['stage']} | {row['jobs']} | {row['all_s']:.0f} | {row['memory_mb']:.0f} |")
