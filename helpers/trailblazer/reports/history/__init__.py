"""All dispatches of a project: what each came to, what they cost, and what fails again and again."""
