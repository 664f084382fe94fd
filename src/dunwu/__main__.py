"""`python -m dunwu` is `dunwu`."""

from dunwu.cli.main import main

if __name__ == "__main__":
    main()
