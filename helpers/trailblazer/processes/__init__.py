"""Other programs: started, watched, ended, and asked short questions."""
