"""A report for machines: JSON, JUnit, the text format of Prometheus; and Markdown for a job summary."""
