"""Pictures of what is stored, for people: files, metadata of materializations."""
