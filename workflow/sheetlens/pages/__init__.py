"""What all HTML pages share: rendering, templates, thumbnails."""
