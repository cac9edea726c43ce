"""What the checklists ask of a deployment, judged before anything is deployed."""
