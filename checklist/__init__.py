"""Every requirement of the deployment checklists, and what is needed to prove that it is met."""
