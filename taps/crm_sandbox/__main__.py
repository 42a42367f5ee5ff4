"""``python -m crm_sandbox`` is ``crm-sandbox``."""

from crm_sandbox.cli import main

main()
