"""A study's data as tables, and their verification from the files alone.

Vote table, one row for each current answer:

    rater        opaque id
    assignment   id of one showing of one pair to one rater
    pair, prompt, category (may be "")
    left, right  arms; "degraded" is the spoilt copy of a gold pair
    kind         comparison | identical | same_arm | repeat | gold
    repeat_of    assignment id of the first showing, or ""
    question     key
    answer       left | tie | right
    mode         joint | separate
    position     int, order within the rater's session
    response_ms  float, from the moment that voting opened to the answer
    gold         expected answer of a gold pair (left | right), or ""
    image_left, image_right   files, relative to the export's folder
    time         UTC, ISO 8601

Rater table: rater, mode, status (active | finished | abandoned), started, finished ("" while it is not), channel.
"""
