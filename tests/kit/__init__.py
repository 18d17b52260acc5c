"""What the system tests are made of: real servers, our programs, an SMTP client that obeys, readers of answers."""
