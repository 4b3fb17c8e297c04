"""What the demo's speakers say."""

from avpretext.corpora.crema_d import SENTENCES

ACTED = SENTENCES
"""The twelve sentences of CREMA-D by their codes (Cao et al., 2014)."""

EVERYDAY = (
    "The kitchen light is on again.",
    "She left her keys on the table.",
    "We should take the early train.",
    "My brother called me last night.",
    "There is a letter for you.",
    "The door was open all day.",
    "He said he would be here by noon.",
    "They moved to a house by the river.",
    "I can hear music from next door.",
    "Your coffee is getting cold.",
    "The bus was late this morning.",
    "I have to finish this by Friday.",
    "You can put your bags over there.",
    "The dog ran across the garden.",
    "We watched the game at home.",
    "It rained for most of the week.",
    "Please turn down the radio.",
    "I saw your name on the list.",
    "The shop closes at half past six.",
    "Nobody told me about the party.",
    "Her phone has been ringing all day.",
    "We are almost out of milk.",
    "The boys are playing in the yard.",
    "I never thought of it that way.",
    "He forgot to lock the car.",
    "There were two people at the window.",
    "She wants to paint the room green.",
    "The soup needs a little more salt.",
    "I would rather walk than drive.",
    "My shoes are still by the door.",
    "The baby is asleep upstairs.",
    "You never know who might come.",
    "They are building a new bridge.",
    "I found a picture of us in a book.",
    "We can talk about it later.",
    "The old clock stopped at three.",
    "Somebody is knocking at the door.",
    "He works in a bank downtown.",
    "The wind blew the papers away.",
    "I will meet you at the corner.",
)
"""Sentences of the unlabelled part; none is acted in the labelled one."""
