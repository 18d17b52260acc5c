"""What the system tests are made of: the real servers, our programs, an SMTP client that obeys, and readers of what they say."""
