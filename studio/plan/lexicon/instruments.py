# ruff: noqa: E501  (a row of a table stays on one line)
"""Instruments in words: which stem plays them. Russian words are stems that take any ending."""

from __future__ import annotations

INSTRUMENTS = (
    # (pattern, role, what the stem's prompt says)
    (r"drum machines?|драм-?машин\w*", "drums", "drum machine"),
    (r"brush(?:ed|es)(?: drums?)?|щетк\w+", "drums", "brushed drums"),
    (r"drum ?kits?|drums?|drumming|beats|барабан\w*|ударн\w+|драмс\w*", "drums", "drums"),
    (r"percussions?|перкусси\w+", "drums", "percussion"),
    (r"congas?|конг[аиу]\w{0,2}", "drums", "congas"),
    (r"bongos?|бонг\w+", "drums", "bongos"),
    (r"hi-?[ ]?hats?|хай-?хет\w*", "drums", "hi-hats"),
    (r"shakers?|шейкер\w*", "drums", "shaker"),
    (r"tambourines?|бубн?\w{1,2}", "drums", "tambourine"),
    (r"claps|hand-?[ ]?claps|хлопк\w+", "drums", "claps"),
    (r"cowbells?", "drums", "cowbell"),
    (r"808s?(?: bass)?", "bass", "808 bass"),
    (r"(?:upright|double|acoustic) bass|контрабас\w*", "bass", "upright bass"),
    (r"slap bass|слэп-?\w*", "bass", "slap bass"),
    (r"fretless(?: bass)?", "bass", "fretless bass"),
    (r"synth bass|bass synth|синтезаторн\w+ бас\w*", "bass", "synth bass"),
    (r"sub-?[ ]?bass|сабвуфер\w*|саб-?бас\w*", "bass", "sub bass"),
    (r"bass[ -]?(?:guitar|line|lines)?|basslines?|бас(?:-?гитар\w+)?(?:а|у|ом|е|ы)?|басов\w+(?: лини\w+)?", "bass", "bass"),
    (r"(?:electric|distorted|overdriven|crunchy) guitars?|электрогитар\w*|дисторшн\w*", "harmony", "electric guitar"),
    (r"(?:nylon|classical|spanish)[ -](?:string )?guitars?|испанск\w+ гитар\w*", "harmony", "nylon guitar"),
    (r"(?:acoustic|fingerpicked|steel[ -]string) guitars?|акустическ\w+ гитар\w*", "harmony", "acoustic guitar"),
    (r"lead guitars?|соло-?гитар\w*", "lead", "lead guitar"),
    (r"guitars?|гитар\w*", "harmony", "guitar"),
    (r"electric pianos?|rhodes|wurlitzer|wurli|родес\w*|электропиано|электропианино", "harmony", "electric piano"),
    (r"pianos?|grand piano|пианино|фортепиано|фортепьяно|рояль?\w{0,2}|пиано", "harmony", "piano"),
    (r"hammond(?: organ)?|organs?|орган(?:а|у|ом|е|ы|ов)?", "harmony", "organ"),
    (r"string quartet|струнн\w+ квартет\w*", "harmony", "string quartet"),
    (r"strings|string section|orchestra|струнн\w+|оркестр\w*", "harmony", "strings"),
    (r"brass(?: section)?|horns?(?: section)?|духов\w+", "harmony", "brass"),
    (r"synth[ -]?pads?|pads?|пэд\w*|подклад\w*", "harmony", "pads"),
    (r"synth leads?|lead synths?|синтезаторн\w+ соло|лид-?синт\w*", "lead", "synth lead"),
    (r"synths?|synthesi[sz]ers?|синтезатор\w*|синт(?:а|ы|ом|ов|ами)?", "harmony", "synth"),
    (r"accordions?|аккордеон\w*|баян\w*", "harmony", "accordion"),
    (r"harpsichords?|клавесин\w*", "harmony", "harpsichord"),
    (r"harps?|арф\w+", "harmony", "harp"),
    (r"banjos?|банджо", "harmony", "banjo"),
    (r"ukuleles?|укулеле", "harmony", "ukulele"),
    (r"mandolins?|мандолин\w*", "harmony", "mandolin"),
    (r"choirs?|хор(?:а|у|ом|е|ы)?", "harmony", "choir"),
    (r"cellos?|виолончел\w+", "harmony", "cello"),
    (r"clavinet|клавинет\w*", "harmony", "clavinet"),
    (r"sax(?:es|ophones?)?|саксофон\w*", "lead", "saxophone"),
    (r"trumpets?|труб(?:а|ы|у|ой|е)", "lead", "trumpet"),
    (r"trombones?|тромбон\w*", "lead", "trombone"),
    (r"flutes?|флейт\w*", "lead", "flute"),
    (r"clarinets?|кларнет\w*", "lead", "clarinet"),
    (r"oboes?|гобо\w+", "lead", "oboe"),
    (r"violins?|fiddles?|скрипк\w+|скрипок", "lead", "violin"),
    (r"harmonicas?|губн\w+ гармошк\w*|гармошк\w*", "lead", "harmonica"),
    (r"vibraphones?|vibes(?= solo)|вибрафон\w*", "lead", "vibraphone"),
    (r"marimbas?|маримб\w*", "lead", "marimba"),
    (r"glockenspiel|music box|колокольчик\w*|металлофон\w*", "lead", "glockenspiel"),
    (r"bells?(?! bottoms)|колокол\w*", "lead", "bells"),
    (r"whistl(?:e|ing)|свист\w*", "lead", "whistle"),
    (r"sitars?|ситар\w*", "lead", "sitar"),
    (r"melody|melodies|leads?(?! to| into| me| us| the| by)|мелоди\w+|лид(?:а|у|ом)?", "lead", "melody"),
    (r"(?:sound )?effects|fx|sfx|risers?|sweeps?|эффект\w*|райзер\w*|свип\w*", "fx", "effects"),
    (r"vocals?|singing|singers?|voices?|вокал\w*|голос\w*|пени[ея]\w*", "vocals", "vocals"),
    (r"chords?|harmony|keys(?! of)|keyboards?|аккорд\w*|клавиш\w*", "harmony", "chords"),
)  # fmt: skip

MELODIC = r"\s+(?:solos?|leads?|melod(?:y|ies)|hooks?|riffs?|lines?|licks?)"
"""After an instrument of the harmony: it plays the lead."""

EVERYDAY = {
    "bass": (r"(?<!\w)drum\s*(?:and|&|n|'n'|'n)\s*$", r"\s*(?:music|house|fishing)\b"),
    "drums": (r"", r"(?<!s)\s*(?:and|&|n|'n'|'n)\s*bass\b|\s+to\b"),
    "organ": (r"(?:vital |internal )$", r"\s*(?:donor|transplant)"),
}
"""What must not stand before and after a word, for it is not the instrument there."""

ONLY = (
    r"(?<!\w)(?:only|just|solo|nothing but|unaccompanied|только|лишь|соло|одн[аои]\w*)\s+(?:a |an |the |some |one |with )?$",
    r"\s+(?:only|alone|solo piece|и больше ничего|и все)(?!\w)",
)
A_CAPPELLA = r"a[ -]?cap+el+a|а ?кап+ел+а"
DRUMLESS = ((r"drum-?less|beat-?less|безударн\w+", "drums"), (r"bass-?less", "bass"))
INSTRUMENTAL = r"instrumental|инструментал\w*"
