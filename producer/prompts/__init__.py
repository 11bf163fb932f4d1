"""What people bring: prompts in every form, templates, earlier pictures; read into requests."""
