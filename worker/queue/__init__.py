"""The queue in Redis: the app, publishing, withdrawal, and what comes of it. Producer may import all of it."""
