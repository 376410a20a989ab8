"""A report as panels, and what draws them: HTML for people, Markdown for a job summary."""
