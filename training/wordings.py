"""The wordings that the checkpoint is evaluated with: each has words that no caption of the training has."""

from typing import Final

#: With every colour and kind in these it is held against Stable Diffusion 1.5's settings, too.
USUAL: Final = (
    "Catalogue scan: {colour} {kind}, retailer archive, seamless paper",
    "{kind} in {colour} upon an acrylic plinth, lookbook still, white surroundings",
    "Advert showing somebody's favourite {colour} {kind} during crisp daylight",
    "WANTED: {colour} {kind}!!! \N{MANS SHOE} courier parcel, unknown buyer",
)
#: Product photos as people ask for them: two colours of which one is the background's, and every order.
BACKGROUNDS: Final = (
    "catalogue shot for mail-order brochure, {colour} {kind}, isolated on white",
    "catalogue portrait, webstore thumbnail, {kind} in {colour}, isolated on white",
    "{colour} {kind} against a spotless white cyclorama, marketplace thumbnail",
    "immaculate white infinity cove, {colour} {kind}, editorial",
    "{kind}, {colour}, floating before bleached white nothingness, packshot",
    "Packshot depicting {colour} {kind} onto pristine white, retouched",
    "ultra-detailed packshot of {kind} in {colour} with a chalky white sweep",
    "white cyclorama, hero packshot, {kind} in {colour}, softboxes",
    "amazon thumbnail of {colour} {kind}, immaculate pure white, softboxes",
    "footwear brochure: {colour} {kind}, photographer's white sweep, Hasselblad",
    "Hasselblad editorial - {colour} {kind} - snowy white tabletop - bokeh",
    "{colour} {kind} isolated against white, retouched, ecommerce thumbnail, footwear",
    "brochure packshot, {kind} coloured {colour}, whole backdrop spotless white",
    "minimal flatlay: {kind} ({colour}), blank white poster board, overhead softboxes",
    "footwear lookbook, someone placed {colour} {kind} atop a grey concrete plinth",
    "{colour} {kind} next to a blue vase, lookbook, cinematic",
    "hyperrealistic {colour} {kind} resting on black marble, moody editorial",
    "{colour} leather {kind} photographed alongside pink peonies, gouache",
    "webstore listing | {kind} | {colour} | white void | retouched",
    "Generate footwear: {colour} {kind}. Everything behind must stay white.",
)
