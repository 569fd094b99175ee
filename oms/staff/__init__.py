"""The frame of the staff site: navigation, the live page, second factors and groups."""
