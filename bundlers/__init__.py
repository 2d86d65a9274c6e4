"""What turns stored components into archives, releases, published repositories and installs."""
