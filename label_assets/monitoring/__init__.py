"""What is watched while others work: service levels from metrics, and how somebody is told."""
