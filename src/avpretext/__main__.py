"""`python -m avpretext` is the command `avpretext`."""

from avpretext.cli import main

if __name__ == "__main__":
    main()
