from e2ed2.cli import main

main()
