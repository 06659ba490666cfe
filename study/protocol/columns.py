"""What the tables of a study hold: the store fills them, the statistics read them.

Vote table, one row for each current answer:

    rater        opaque id
    assignment   id of one showing of one pair to one rater
    pair, prompt, category (may be "")
    left, right  arms; "degraded" is the degraded copy of a gold pair
    kind         comparison | identical | same_arm | repeat | gold
    repeat_of    assignment id of the first showing, or ""
    question     key
    answer       left | tie | right
    mode         joint | separate
    position     int, order within the rater's session
    response_ms  float, from the moment that both pictures were seen to the answer
    answer_ms    float, from the answer before on the same screen, or from that moment, and no more than the server saw
                 pass; exports of earlier versions do not have it
    gold         right answer to this question of a gold pair (left | right), or ""
    image_left, image_right   files, relative to the export's folder
    time         UTC, ISO 8601
    propensity   with which the answers so far had this pair of arms chosen, given its prompt; 1 for checks. In adaptive
                 studies alone

Rater table: rater, mode, status (active | finished | abandoned | dropped), started, finished ("" while it is not; of
whoever is erased both are ""), channel, withdrawn (why the answers were withdrawn, which are in the revisions alone
then; "" where they count).
"""

VOTE_COLUMNS = (
    "rater",
    "assignment",
    "pair",
    "prompt",
    "category",
    "left",
    "right",
    "kind",
    "repeat_of",
    "question",
    "answer",
    "mode",
    "position",
    "response_ms",
    "answer_ms",
    "gold",
    "image_left",
    "image_right",
    "time",
)
PROPENSITY = "propensity"
RATER_COLUMNS = ("rater", "mode", "status", "started", "finished", "channel", "withdrawn")
