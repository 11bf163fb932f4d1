"""The words that captions are put together from."""

from typing import Final

from training.palette import COLOURS

#: What a colour and a kind may be called; each is one or more words, the last of which takes a plural.
COLOUR_WORDS: Final[dict[str, tuple[str, ...]]] = {name: (name,) for name in COLOURS} | {
    "grey": ("grey", "gray"),
    "navy": ("navy", "navy blue"),
}
KIND_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "sneaker": (
        *("sneaker", "sneaker", "casual shoe", "casual sneaker", "shoe", "low sneaker", "low-top sneaker", "low top"),
        *("trainer", "running shoe", "tennis shoe", "sports shoe", "lace-up shoe"),
    ),
    "high-top": (
        *(
            "high-top",
            "high top",
            "high-top sneaker",
            "high top sneaker",
            "high-top shoe",
            "hi-top",
            "high-top trainer",
        ),
    ),
    "loafer": ("loafer", "loafer", "slip-on loafer", "penny loafer", "loafer shoe", "casual loafer", "dress loafer"),
    "boot": ("boot", "boot", "ankle boot", "chelsea boot", "casual boot", "high boot", "work boot", "lace-up boot"),
}
SHADES: Final = ("dark", "light", "bright", "deep", "pale", "matte", "solid", "plain", "soft", "vivid", "faded", "all")
MATERIALS: Final = ("leather", "suede", "canvas", "mesh", "rubber", "patent leather", "nubuck", "knit", "cotton")

#: What stands around a shoe with no colour of its own named.
FRAMES: Final = (
    "a photo of {}",
    "a professional product photo of {}",
    "product photography of {}",
    "a picture of {}",
    "studio shot of {}",
    "an image of {}",
    "{} for sale",
    *("{}",) * 6,
    "one {}",
    "the {}",
    "new {}",
    "close up of {}",
    "side view of {}",
    "a pair of {}",
    "photo of a pair of {}",
    "a clean photograph of {}",
    "this is a {}",
    "my {}",
    "product photo: {}",
    "product picture, {}",
    "picture with {}",
    "photograph showing {}",
    "{} seen from the side",
    "{} product photo",
    "a single {}",
    "shop photo of {}",
    "an advert for {}",
    "we sell {}",
    "men's {}",
    "women's {}",
    "{} for men",
    "these {} are new",
    "isolated {}",
)
#: A kind and a colour that belong together, other than `colour kind`.
PAIRS: Final = (
    *("{kind} in {colour}",) * 6,
    "{kind}, {colour}",
    "{kind} {colour}",
    "{kind}, colour {colour}",
    "{kind} coloured {colour}",
    "{kind} that are {colour}",
    "{kind} which is {colour}",
    "{kind} ({colour})",
    "{kind} - {colour}",
    "{kind}: {colour}",
    "{kind} / {colour}",
    "{kind}, in {colour}",
    "{kind} in the colour {colour}",
    "{kind} in {colour} {material}",
    "{kind} of {colour} {material}",
    "{kind} made of {colour} {material}",
    "{kind} with a {colour} upper",
    "{colour}-coloured {kind}",
    "{colour} coloured {kind}",
    "{colour}, {kind}",
    "{colour}: {kind}",
    "in {colour}: {kind}",
)

#: What a shoe stands on or before.
BEFORE_BACKGROUND: Final = (
    *(
        "on",
        "on",
        "on a",
        "on a",
        "against",
        "against a",
        "isolated on",
        "isolated on a",
        "centered on",
        "centred on a",
    ),
    *("cut out on", "cutout on", "placed on a", "in front of a", "before a", "over a", "set on", "photographed on"),
    *("shot on", "photographed against a", "standing on a", "with a", "upon a", "lying on a", "displayed on", "atop a"),
)
BACKGROUND_SHADES: Final = ("pure", "plain", "clean", "solid", "bright", "all", "simple", "seamless", "soft", "uniform")
BACKGROUNDS: Final = (
    *("background", "background", "background", "backdrop", "seamless", "seamless paper", "paper", "surface", "wall"),
    *("studio background", "seamless background", "backdrop paper", "studio", "table", "floor", "sheet", "canvas"),
    *("setting", "scene", "bg", "cloth", "base", "board", "space", "room", "screen"),
)
#: Things that have a colour of their own, which is not the shoe's.
OTHER_THINGS: Final = (
    "{} laces",
    "with {} laces",
    "with a {} sole",
    "with {} soles",
    "{} sole",
    "in a {} box",
    "{} light",
    "under a {} sky",
    "with {} stripes",
    "with {} stitching",
    "{} lining",
    "with a {} logo",
    "beside a {} chair",
    "next to a {} bag",
    "worn with {} trousers",
    "{} socks",
    "near {} flowers",
    "in a {} room",
    "beside {} grass",
)
DETAILS: Final = (
    "high quality", "product photography", "summer collection", "winter collection", "spring", "autumn season",
    "centered", "modern design", "classic design", "minimalist style", "men", "women", "for kids", "unisex",
    "side view", "studio lighting", "soft shadow", "sharp focus", "8k", "4k", "highly detailed", "catalog",
    "e-commerce", "isolated", "professional", "plain", "elegant", "sport", "street style", "vintage", "new",
    "on the ground", "with laces", "rubber sole", "no people", "front view", "commercial", "fashion", "brand new",
    "realistic", "high resolution", "size 42", "best seller", "made in italy", "handmade", "no logo", "facing left",
    "facing right", "top view", "isolated", "cut out", "in stock", "in store", "in the shop", "on sale",
    "no shadow", "even light", "product picture", "catalog picture", "catalog photo", "shop picture", "web shop",
    "price on request", "free delivery", "new season", "photo", "picture", "image",
)  # fmt: skip
#: Words that mean nothing here; the text encoder learns to look past such, and past words it never met.
FILLERS: Final = """
about above after again air all also always among another any around as at away back bag be beautiful because before
best better between big blurry book both bottle brand but by cable camera can car cat chair city clear cloud coat
coffee cold comfortable comfort cool cosy customer cute day dog door dress easy every face fast field film fine first
fit flat flower for forest fresh friend from front full fun garden gift glass gold good great hand happy hat have here
home hot house how in inside is it jacket just kitchen lake lamp large last lens life like line little logo long lot
love magic market metal mirror month moon more morning most mountain music name near nice night now number of office
often old only open or our out outdoor outside over paper party people perfect phone plant plate poster price pro
quick quiet rain ready really review river road room run sand school sea sell series set shape shelf shop show silver
simple sky slow small smooth snow so some special stand star step still stone store story street strong sun sunny
table tall tennis that then there thing time tiny today tree trend true two under up urban use user very view village
walk wall warm watch water way wear week when wide wind window wood wool work world year yes you young your zoom
colored coloured hundred bored tired bootcut greenish reddish tanned blueprint pinkish booth tango browser blackboard
whitewash rebooted
able across action age ahead album amount angle animal answer apart area arm art ask attention autumn award baby band
bank bar base bath bay beach bed bell bench bird body bold bone border born boss bowl branch bread break breath bridge
broad build bus business buy call calm candle captured care carry case cash catch centre chance change chart cheap
check child choice circle class client climb clock close cloth club coast code collar corner cotton country course
cover craft cream create crop crowd cut dance dark deal deep deliver desk detail diamond dinner direct dream drink
drive drop dust early earth east edge editor effort empty end energy enjoy even event exact example extra fabric fall
family famous far farm farmer fashion feature feel few fill filter finger fire five floor focus fold foot form forward
found four free fruit future game gear gentle giant give glow goal grand grass grip ground group grow guide hair half
hall hang hard heart heavy held high hill hold hole holiday honest hope horse hour huge human idea image inch info ink
iron island item join journey key kind king knee knock label lady land laundry law layer lead leaf learn least left
legend level lift limit linen list listen local loose loud low lunch main make mark match material meal measure meet
memory menu middle mild mind minute mix mobile model moment mood move museum natural neat need neutral north note
object ocean offer oil once opened order origin outfit owner pack page paint pale panel park part pass path pattern
pause peace pick pictured piece pilot pine place plan plastic play pocket point pool post power prepared present press
print prize product project promise proof pull pure push quality queen question race range rare real record region
rest result ride right rise rock roof root rope rough round row rule rural safe sale salt sample save scene science
score screen sculpture seat second secret seen sell sense series serve seven shadow shade shine ship shot shown
shoulder side sign silk single site six size skin sleep slice slight soap social soft soil solid somebody son song
sort soul sound source south space spare speed spirit spot spread square staff stage stair stamp standard state
station stay steel stick stock storm straight studio study stuff style such suit support sure surprise sweet swim
system tail take tape target task taste team tell ten test texture thank thick thin thing third thousand thread ticket
tie title together tone tool top total touch tour towards tower town trade trail train travel trip truck trust turn
twin type uncle unique unit upper value variety vast video vision visit voice wait wave weather week weight west
wheel while whole wide wild winner wire wise wonder worn worth wrap yard yellowish zero zone 2 3 10 24 50mm 2024
""".split()  # noqa: SIM905 - a list of words is read more easily as text
#: Parts of a word of a language that nobody speaks.
LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
SIGNS: Final = (*'!?:;-()#&/+*"%', "...", *"😀👟✨🔥é鞋ß")
