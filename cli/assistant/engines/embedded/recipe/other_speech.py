"""Speech that is no command: foreign words, invented words, near misses for training, and the lists kept apart.

Plain data and small patterns; what is listed in `NEAR_MISSES_DEV` and `NEAR_MISSES_TEST` is never trained on.
"""

from __future__ import annotations

import random

WORDS = """
people history way art world information family government computer system bread market thing data film love
language story idea article department difference goal news shopping investment opinion quality ability blue green
yellow orange purple mountain river forest garden window table chair bottle pencil paper wonder yesterday morning
evening because although however therefore between through against without walked talking running sleeping believed
thought remembered forgotten discovered invented happened carefully quickly slowly beautiful dangerous elephant
tiger monkey chicken butter sugar pepper salad dinner breakfast uncle aunt cousin brother sister neighbour teacher
doctor lawyer soldier president country nation freedom justice liberty election winter summer autumn spring snow
thunder lightning cloud storm ocean island ship captain sailor engine railway carriage horse saddle bridge castle
king queen prince sword shield battle victory defeat silver golden copper iron hammer carpenter painter singer
dancer musician orchestra violin trumpet piano melody chapter sentence paragraph grammar vocabulary dictionary
mathematics physics chemistry biology planet galaxy universe telescope microscope experiment theory evidence
hypothesis conclusion but or while they she he we him her them very almost always often sometimes nothing
everything somebody said went came saw made knew told asked gave found left felt kept held brought wrote stood lost
paid met ran sat led grew fell sold airport anchor angle ankle apron arrow backpack bakery balcony banana barber
basket beach beard bicycle biscuit blanket bonnet border branch brush bucket building cabbage camel candle canvas
carpet carrot ceiling cellar cereal cherry circle circus citizen climate clothes coffee collar concert cotton cradle
crayon cricket curtain customer damage desert devil donkey drawer eagle elbow factory farmer feather fever finger
fisher flour flower fountain frog garage gift ginger glass glove grape guitar harbor hazel helmet honey hotel insect
jacket jelly jungle kettle kitchen ladder lantern laundry leather lemon library lizard lobster magnet marble meadow
medal medicine mirror mitten monster mosquito motor muscle museum mushroom napkin needle nephew noodle oven oyster
package palace parade parrot pasta pavement peanut pebble pigeon pillow pilot pirate pocket police potato powder
pumpkin puppet puzzle rabbit radish raincoat ribbon rocket sandal sausage scarf scissors shadow shelf shoulder
shovel signal silk skirt sleeve soap sofa spider spoon squirrel stadium statue stomach strawberry suitcase sunshine
tailor temple tennis thirsty tomato towel tractor traffic trousers tunnel turkey uniform vacuum valley vegetable
village vinegar waiter walnut whistle wooden yogurt zebra borrow gather improve invite arrange climb deliver dig
explain follow guess hurry imagine knit laugh marry notice offer order paint pour promise rescue scream shout smile
sneeze swallow swim throw travel wander whisper yawn angry ancient brave bright broken cheap clever crowded dirty
early empty famous fancy foolish gentle happy heavy honest hungry jealous lazy lonely narrow nervous noisy polite
proud quick rotten rude sharp shy silly sleepy smooth sour steep strange sweet tall thick tiny ugly useful warm weak
wealthy wet wild wise young
""".split()

_NOUNS = WORDS[:120] + WORDS[180:400]
_ONSETS = (
    "b bl br ch d dr f fl fr g gl gr h j k kl kr l m n p pl pr r s sh sk sl sm sn sp st str t th tr v w y z".split()
)
_VOWELS = "a e i o u ai ee oo ow oy ar er or".split()
_CODAS = ["", "", "", "n", "m", "l", "r", "s", "t", "k", "p", "d", "g", "sh", "nk", "nt", "st", "mp", "rd", "lf"]

# {n} a noun, {w} any foreign word, {k} a number word, {v} an invented word, a|b|c an alternative
_PATTERNS = [
    "take a {n}",
    "take the {n} to the {n}",
    "take a {n} to the {n}",
    "take your {n} off",
    "take me to the {n}",
    "take a photo {w}|take a picture frame|take the picture off the {n}|the picture of the {n} is {w}",
    "he took a photo of the {n}",
    "the photo on the {n} is {w}",
    "what time does the {n} leave|what time did the {n} come|what time will the {n} be ready",
    "what time is the {n}",
    "what time is it in the {n}",
    "what is the {n}",
    "what is your {n}",
    "what's the {n} like",
    "what's the price of the {n}",
    "what day does the {n} open",
    "what day is the {n}",
    "what kind of {n} is that",
    "what can {w} do",
    "what did the {n} say",
    "tell me about the {n}",
    "tell me a {n}",
    "tell me the {n}",
    "do you know the {n}",
    "do you like {n}",
    "set the {n} on the {n}",
    "set the {n} to {k} degrees",
    "set the {n} for {k} {n}",
    "set a {n} for {k} minutes",
    "set a timer for the {n}",
    "set a trap for the {n}",
    "set the volume of the {n}",
    "set an alarm for {k}",
    "start the {n}",
    "start a {n} for {k} {n}",
    "start a fire in the {n}",
    "remind me of the {n}",
    "cancel the {n}",
    "cancel my {n} for {k}",
    "delete the {n}",
    "clear the {n}",
    "check the {n}",
    "check my {n}",
    "stop the {n}",
    "stop the {n} at the {n}",
    "stop eating {n}|stop laughing at me|stop crying now|stop running {w}",
    "how much {n} is left",
    "how much {n} do you want",
    "how much does the {n} cost",
    "how much time does the {n} need",
    "how long is the {n}",
    "how long does the {n} take",
    "how is the {n}",
    "how is your {n} today",
    "how loud is the {n}",
    "how far is the {n}",
    "how many {n} are there",
    "turn the {n} up",
    "turn the {n} down",
    "turn the {n} off|turn off the {n}|turn on the {n}|turn the {n} on",
    "turn the {n} around",
    "turn left at the {n}|turn right at the {n}",
    "turn it into a {n}",
    "turn up at the {n}",
    "increase the {n}",
    "decrease the {n}",
    "lower the {n}",
    "make it {w}",
    "make a {n}",
    "speak to the {n}",
    "mute the {n}",
    "the {n} was quieter than the {n}",
    "the {n} is louder than before",
    "the sound of the {n}",
    "sound the {n}",
    "the volume of the {n}",
    "volume {k} of the {n}",
    "{k} percent of the {n}",
    "{k} minutes of {n}",
    "{k} seconds after the {n}",
    "{k} {n} and {k} {n}",
    "the battery in my {n} is {w}",
    "buy a battery for the {n}",
    "battery {n}",
    "status of the {n}",
    "be {w}",
    "be quiet in the {n}",
    "never {w}",
    "never mind the {n}",
    "repeat the {n}",
    "repeat after the {n}",
    "say {w}",
    "say that to the {n}",
    "say it with a {n}",
    "once {w}",
    "once upon a time there was a {n}",
    "more {n} please",
    "help the {n}",
    "help me with the {n}",
    "can you {w} the {n}",
    "could you {w} the {n}",
    "can you see the {n}",
    "could you bring me a {n}",
    "please {w} the {n}",
    "please pass the {n}",
    "i can {w}",
    "i asked the {n}",
    "is it {w} today",
    "today is a {w} day",
    "half a {n}|half of the {n}|a quarter of the {n}",
    "an hour of {n}|in an hour the {n} is {w}",
    "you know the {n} is {w}",
    "the timer on the {n} is {w}",
    "the {n} is on the left",
    "look at the {n}",
    "call the {n}",
    "where is the {n}",
    "play the {n}",
    "open the {n}",
    "{v} the {v}",
    "{v} a timer for {k} {v}",
    "{v} volume {v}",
    "what {v} is it {v}",
]
_NUMBERS = (
    "one two three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty fifty sixty".split()
)

NEAR_MISSES_DEV = [
    "take a seat by the window",
    "take the dog out",
    "the photo album fell down",
    "picture this for a moment",
    "what time did you get up",
    "what day suits you best",
    "tell me your name",
    "set the alarm clock for six",
    "set the kettle on the stove",
    "start the engine now",
    "set a date for the wedding",
    "stop the music in the hall",
    "cancel the newspaper",
    "check the tyres",
    "how much milk is left",
    "how long is the movie",
    "how loud they are",
    "turn the page over",
    "turn it over in the pan",
    "turn the lamp down",
    "lower the curtain",
    "increase the speed",
    "volume two of the book",
    "the sound of music",
    "mute swans swim here",
    "battery farms are cruel",
    "check the weather",
    "stop by the house",
    "stop it from falling",
    "be quick about it",
    "never mind the weather",
    "repeat the question to her",
    "say cheese",
    "once more unto the breach",
    "help yourself to cake",
    "what can the matter be",
    "could you tell him",
    "can you turn around",
    "please close the door",
    "a quarter past nine",
    "five minutes late",
    "half an apple",
    "make it stop raining",
    "speak to my mother",
    "clear the table",
    "delete the message",
    "the timer is broken",
    "fifty percent of people",
    "do you know the way",
    "today is my birthday",
]
NEAR_MISSES_TEST = [
    "take a walk",
    "take a photocopy of the form",
    "take the stairs",
    "take a phone call",
    "take a deep breath",
    "take a picture book to bed",
    "take it easy",
    "take the second left",
    "take a potato",
    "pictures of you",
    "what time does the train leave",
    "what time is dinner",
    "what time did he call",
    "what's the time difference to tokyo",
    "what's the matter with you",
    "what's the date of the meeting",
    "what day did they arrive",
    "what day is the party",
    "what is the capital of spain",
    "what's today's special",
    "tell me the truth",
    "tell me a joke",
    "tell the time keeper",
    "can you tell me the way to the station",
    "do you know the tide tables",
    "do you know the tall man",
    "set the table for five people",
    "set a timetable for four weeks",
    "set the oven to fifty degrees",
    "set the clock back",
    "set a good example for the kids",
    "set sail for the islands",
    "set the volume aside",
    "set the record straight",
    "start a diary for the baby",
    "start a tyre fire",
    "set the timber to dry",
    "a timer with forty buttons",
    "cancel the flight",
    "cancel my gym membership",
    "stop the car at the corner",
    "stop the time machine",
    "stop the thief",
    "stop at the lights",
    "stop whistling",
    "clear the driveway",
    "delete the folder",
    "check the mail",
    "how much butter is left",
    "how much is the fish",
    "how much time did you waste",
    "how much better is it",
    "how long is the river",
    "how long is left to live",
    "how is the baby",
    "how loud the birds are singing",
    "how old is it",
    "turn the radio up to the tower",
    "turn the vacuum on",
    "turn the corner slowly",
    "turn off the highway",
    "turn on the charm",
    "turn down the offer",
    "turn up the collar of your coat",
    "turn the tables on him",
    "turn it upside down",
    "turn the bottle around",
    "turn out the lights",
    "increase the ransom",
    "increase the dose",
    "lower the anchor",
    "lower the flag at sunset",
    "decrease the speed",
    "make it shorter",
    "make it a double",
    "speak slower",
    "speak german",
    "volume of a sphere",
    "valium upstairs",
    "sound asleep",
    "sound effects",
    "mutiny on the bounty",
    "mew at the cat",
    "battery acid is dangerous",
    "the battery of tests",
    "better late than never",
    "batter the fish",
    "be careful",
    "be quite honest",
    "never again",
    "never mind your manners",
    "repeat offender",
    "repair that fence",
    "say that to his face",
    "say goodbye to her",
    "once in a while",
    "one small step",
    "help the old lady",
    "helmets are required",
    "what can we eat",
    "what can i bring you",
    "what did you see",
    "can you repair that",
    "could you repaint that",
    "please take a number",
    "please turn around",
    "could you turn your head",
    "sixty people in the hall",
    "set a tiger free for ten minutes",
    "five minutes to midnight",
    "start a fight in ten seconds",
]
KEPT_APART = frozenset(NEAR_MISSES_DEV) | frozenset(NEAR_MISSES_TEST)

SENTENCES_DEV = [
    "my sister moved to another town last month",
    "we ate soup and fresh bread",
    "nobody answered the door",
    "the children played in the yard",
    "he forgot his keys again",
    "she sings in the choir on sundays",
    "the bridge was closed because of the flood",
    "i would rather stay at home",
    "they bought a small boat",
    "the soup needs more salt",
    "our teacher was sick all week",
    "it smells like rain",
    "the shop closes at noon",
    "his shoes were full of sand",
    "we missed the last bus",
    "grandfather told us about the war",
    "the dentist was very friendly",
    "put the plates on the shelf",
    "my phone fell into the lake",
    "she wrote a long letter",
    "the cat sleeps under the stove",
    "bring an umbrella",
    "the roof is leaking",
    "nobody likes cold coffee",
    "the museum was free on tuesdays",
    "they argued about money",
    "the mountain is covered in snow",
    "i left my wallet at the office",
    "we should paint the fence",
    "his answer surprised everyone",
]
SENTENCES_TEST = [
    "the weather was awful all weekend",
    "i think we should leave soon",
    "she bought three pairs of shoes",
    "my brother works at the airport",
    "we are going to the cinema tonight",
    "the food here is really good",
    "he said he would call you back",
    "put the milk in the fridge",
    "the kids are already asleep",
    "did you feed the cat this morning",
    "it takes about an hour by car",
    "there is nothing on television",
    "i have a meeting with the boss",
    "let's have lunch together",
    "where did you park the car",
    "the neighbours are having a party",
    "i lost my glasses somewhere",
    "they got married in june",
    "this coffee is too hot",
    "would you like some tea",
    "the train was late again",
    "i really enjoyed the concert",
    "she speaks four languages",
    "the garden needs some water",
    "he is taller than his father",
    "we went hiking in the hills",
    "my back hurts today",
    "call your mother on sunday",
    "that was a terrible film",
    "don't forget to lock the door",
    "the price went up last year",
    "i can't find my keys",
    "what a lovely surprise",
    "who is that man over there",
    "why are you laughing",
    "when does school start",
    "they live next to the church",
    "the dog chased a rabbit",
    "it's getting dark outside",
    "open the window a little",
    "close the door behind you",
    "how was your trip to italy",
    "good morning everyone",
    "see you tomorrow",
    "thank you very much",
    "nice to meet you",
    "excuse me sir",
    "happy birthday to you",
    "i'm not hungry",
    "she is on the phone right now",
    "the soup tastes strange",
    "we need more chairs",
    "he fell off his bike",
    "the river is frozen",
    "i'd like a glass of wine",
    "play some jazz",
    "call an ambulance",
    "navigate to the hotel",
    "translate this into french",
    "send a message to anna",
    "turn on the kitchen lights",
    "add milk to the shopping list",
    "what is the weather like tomorrow",
    "read my emails",
    "who wrote this book",
    "how tall is that building",
    "where is the nearest pharmacy",
    "is it going to rain",
    "remember to buy flowers",
    "book a table for two",
    "what's the score",
    "open the garage",
    "lock the front door",
    "next song",
    "skip this track",
    "zoom in a bit",
    "record a video",
    "scan the barcode",
    "find my phone",
    "show me the map",
    "order a pizza",
    "the meeting starts at nine",
    "you should try this cake",
    "nobody knows why",
    "that sounds great",
    "i don't believe you",
    "the printer is broken again",
    "our flight was delayed",
    "he plays the piano",
    "my favourite colour is green",
    "the baby is crying",
    "we ran out of sugar",
    "it costs twenty euros",
    "she left early",
    "the lake is very deep",
    "i'm looking for the exit",
    "they won the game",
    "please sit down",
    "we'll see about that",
    "anything else for you",
    "the bill please",
]
WORDS_TEST = """
abandon acorn adventure almond amber antelope arctic avocado bamboo barrel beaver bluebell blossom blueberry bracelet
breeze broccoli buffalo butterfly cactus calendar canyon caramel cathedral caterpillar cavern celery chimney cinnamon
clarinet cobweb coconut compass coral cottage crocodile crystal cucumber dandelion diamond dolphin domino dragon drizzle
emerald envelope falcon fiddle firefly flamingo fossil giraffe glacier gorilla granite hammock harvest hedgehog
hurricane iceberg igloo jaguar jasmine kangaroo kayak kernel koala lagoon lavender leopard lighthouse lullaby macaroni
mandarin mango maple meteor mustard nectar nutmeg octopus olive orchard ostrich otter paddle panther papaya parsley
peacock pelican penguin peppermint picnic pineapple platinum porcupine pretzel pyramid quilt raccoon raisin raspberry
reindeer rhubarb saffron salmon sapphire scorpion seagull sequin shamrock slipper spinach stallion sycamore tambourine
tangerine thistle tornado tortoise trampoline tulip turquoise umbrella vanilla velvet volcano walrus waterfall willow
""".split()


def invented(rng: random.Random) -> str:
    """A pronounceable word that does not exist."""
    return "".join(
        rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) for _ in range(rng.choice([1, 1, 2, 2, 3]))
    )


def word(rng: random.Random) -> str:
    return invented(rng) if rng.random() < 0.35 else rng.choice(WORDS)


def near_miss(rng: random.Random) -> str:
    """A sentence in the shape of a command, about something else."""
    text = rng.choice(rng.choice(_PATTERNS).split("|"))
    while "{" in text:
        for mark, draw in (("{n}", _noun), ("{w}", word), ("{k}", _number), ("{v}", invented)):
            if mark in text:
                text = text.replace(mark, draw(rng), 1)
    return text


def strange(rng: random.Random) -> str:
    """Foreign words, invented words, now and then with everyday small words between them."""
    small = [
        "the",
        "a",
        "and",
        "of",
        "to",
        "in",
        "is",
        "it",
        "you",
        "that",
        "for",
        "on",
        "with",
        "at",
        "i",
        "my",
        "what",
    ]
    length = rng.choice([1, 1, 2, 3, 4, 5, 6, 7, 8])
    words = [rng.choice(small) if i and rng.random() < 0.25 else word(rng) for i in range(length)]
    rng.shuffle(words)
    return " ".join(words)


def _noun(rng: random.Random) -> str:
    return invented(rng) if rng.random() < 0.25 else rng.choice(_NOUNS)


def _number(rng: random.Random) -> str:
    return rng.choice(_NUMBERS)
