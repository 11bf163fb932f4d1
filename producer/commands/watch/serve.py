"""`producer serve`."""

import click

from models.settings import load_settings
from producer.local.interrupts import treat_all_as_ctrl_c


@click.command
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default="127.0.0.1:8000",
    show_default=True,
    callback=lambda _context, _option, address: _address(address),
    help="Where browsers find it; 0.0.0.0:8000 is every address of this machine.",
)
def command(listen: tuple[str, int]) -> None:
    """Show batches, reports and pictures to a browser, as they are at that moment. Ctrl+C ends it.

    Nothing can be changed by it, and nobody is asked who they are: whoever reaches the address sees every prompt and
    picture.
    """
    # Imported here, since what finds the colours that prompts name takes a while.
    from producer.page.live.pages import LivePages
    from producer.page.live.server import PageServer

    server = PageServer(*listen, LivePages(load_settings()))
    treat_all_as_ctrl_c()
    click.echo(f"{server.url} shows the batches; Ctrl+C ends it")
    if not server.is_local:
        click.echo("producer: warning: whoever reaches that address sees every prompt and picture", err=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        click.echo()
    finally:
        server.server_close()


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise click.BadParameter(f"{text!r} is no address; write HOST:PORT, such as 127.0.0.1:8000")
    return host.strip("[]"), int(port)
