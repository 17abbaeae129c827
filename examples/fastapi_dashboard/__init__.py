"""A web application on aiobatch: a user's dashboard, and a checkout."""
