"""The attacks and bugs known from other implementations and papers, and the tests that hold each off.

A place of a sentence stands where the part that was attacked does not exist here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Attack:
    """`tests` are "tests/folder/test_file.py::test_name"; `absent` says why there is none."""

    number: int
    title: str
    tests: tuple[str, ...] = ()
    absent: str = ""


def _in(folder: str, module: str, *names: str) -> tuple[str, ...]:
    return tuple(f"tests/{folder}/test_{module}.py::test_{name}" for name in names)


ATTACKS = (
    Attack(
        1,
        "Length fields near 2^32 overflow sums of sizes (CVE-2016-2851)",
        _in("robustness", "bad_input", "length_fields_that_lie", "nothing_is_reserved_on_a_peers_word")
        + _in("spec", "ake_refusals", "lengths_near_the_end_of_their_range"),
    ),
    Attack(
        2,
        "Base64 of nothing but equals signs (CVE-2012-3461)",
        _in("attacks", "attacks", "base64_that_holds_nothing"),
    ),
    Attack(
        3,
        "Verification goes on after its window was closed (CVE-2015-8833)",
        _in("attacks", "attacks", "a_verification_whose_conversation_was_forgotten")
        + _in("smp", "sessions", "the_next_session_begins_at_the_beginning"),
    ),
    Attack(
        4,
        "Format strings in what a peer chooses (CVE-2012-2369)",
        _in("attacks", "attacks", "what_a_peer_chooses_is_never_formatted"),
    ),
    Attack(
        5,
        "Version rollback: the query is not authenticated",
        _in(
            "core",
            "offers",
            "a_downgrade_is_told_at_the_query_and_not_again_at_the_opening",
            "a_downgrade_behind_our_own_query_is_told_at_the_opening",
            "who_allows_only_the_newest_version_is_not_led_to_another",
            "a_query_of_a_lower_version_is_refused_while_encrypted",
        ),
    ),
    Attack(
        6,
        "Unequal end states when the last message of the key exchange is dropped",
        _in("peers", "lost_messages", "one_lost_message_heals_by_itself", "another_start_heals_it"),
    ),
    Attack(
        7,
        "A message forged with revealed MAC keys where delivery is delayed",
        _in("attacks", "attacks", "a_revealed_key_forges_nothing_though_messages_are_delayed")
        + _in("v3", "revelation", "a_revealed_key_verifies_nothing_any_more"),
    ),
    Attack(
        8,
        "A relay with keys of its own on both sides, as mod_otr was",
        _in(
            "peers",
            "man_in_the_middle",
            "both_see_unverified_at_every_start",
            "once_verified_every_start_through_the_relay_is_a_changed_key",
            "right_secrets_fail_where_the_relay_hands_the_proofs_on",
        ),
    ),
    Attack(
        9,
        "Identity misbinding in version 1",
        _in("spec", "versions", "version_1_is_not_for_us")
        + _in("core", "offers", "a_query_of_version_1_alone_is_told"),
    ),
    Attack(
        10,
        "Degenerate public values: 0, 1, p-1, p, p+1, 2p",
        _in("robustness", "refused", "an_illegal_public_value_in_a_dh_key")
        + _in("robustness", "refused", "an_illegal_public_value_in_a_commit")
        + _in("v3", "data_messages", "an_illegal_announced_key_is_refused_though_its_mac_is_right")
        + _in("smp", "refused", "an_illegal_element", "message_2_with_a_degenerate_pb_and_a_proof"),
    ),
    Attack(
        11,
        "A stray message of the key exchange alters r, keys or state",
        _in("robustness", "refused", "out_of_turn") + _in("spec", "ake_table", "cell"),
    ),
    Attack(
        12,
        "Crossing queries, tags and Commits, in both orders, with repetitions",
        _in("peers", "crossing", "every_order", "every_line_arrives_twice", "every_order_while_encrypted"),
    ),
    Attack(
        13,
        "A new key exchange by somebody else in the middle of a session",
        _in("core", "starting", "a_fingerprint_that_changes_under_a_running_session_is_told")
        + _in("core", "memory", "trust_is_of_a_key_and_not_of_a_peer")
        + _in("v3", "revelation", "a_new_exchange_that_is_not_finished_reveals_nothing")
        + _in("robustness", "fuzz", "an_encrypted_conversation_survives_hostility"),
    ),
    Attack(
        14,
        "A flood of queries, or a query while the Signature is awaited",
        _in("peers", "floods", "an_exchange_ends_well_in_a_flood", "a_flood_does_not_disturb_a_session"),
    ),
    Attack(
        15,
        "Plain text slipped into an encrypted or finished conversation",
        _in("attacks", "attacks", "plain_text_is_marked_whatever_it_came_in")
        + _in(
            "irc",
            "host",
            "plain_text_in_an_encrypted_conversation_is_told_apart",
            "a_notice_never_starts_anything",
            "an_action_never_starts_anything",
        ),
    ),
    Attack(
        16,
        "Replay of data messages, of a key exchange, of a Commit after success",
        _in("attacks", "attacks", "a_whole_recorded_conversation_played_again_opens_and_shows_nothing")
        + _in("robustness", "refused", "a_replayed_data_message")
        + _in("robustness", "refused", "the_messages_that_ended_an_exchange_come_again"),
    ),
    Attack(
        17,
        "Reflection of our own messages, also in fragments",
        _in("attacks", "attacks", "our_own_messages_come_back_in_fragments")
        + _in("robustness", "refused", "our_own_messages_come_back", "our_own_commit_comes_back")
        + _in("smp", "refused", "our_own_proofs_are_none_of_the_peers"),
    ),
    Attack(
        18,
        "Errors that are answered by errors, or by starts, for ever",
        _in(
            "core",
            "errors",
            "two_that_start_on_errors_come_to_rest",
            "two_whose_keys_never_fit_come_to_rest",
            "an_error_is_never_answered_by_an_error",
            "what_an_error_text_holds_is_text",
        ),
    ),
    Attack(
        19,
        "Control codes, line breaks and length of an error text",
        _in("core", "errors", "a_long_error_text_is_cut")
        + _in("cli", "terminal", "no_note_steers_the_terminal")
        + _in("clients", "chat", "a_peer_cannot_steer_the_terminal"),
    ),
    Attack(
        20,
        "A line break in a decrypted text or question becomes an IRC command",
        _in("irc", "host", "line_breaks_are_taken_out_both_ways", "line_breaks_inside_a_conversation")
        + _in("irc", "verification", "no_line_break_goes_anywhere")
        + _in("clients", "chat", "what_the_user_types_cannot_become_a_second_command"),
    ),
    Attack(
        21,
        "Markup and colours of other clients; actions as texts",
        _in("attacks", "attacks", "markup_is_text_and_hides_no_query")
        + _in("irc", "host", "actions_travel_encrypted_both_ways"),
    ),
    Attack(
        22,
        "Fragments that fill memory, change their count, or wrap at 65,536",
        _in(
            "robustness",
            "bounds",
            "fragments_of_one_message_that_never_ends",
            "large_fragments_are_given_up_at_the_limit",
            "first_fragments_of_many_senders",
        )
        + _in("robustness", "bad_input", "counts_of_fragments_beyond_their_range")
        + _in("wire", "fragment", "orders"),
    ),
    Attack(
        23,
        "Only the last fragment leaves",
        _in("irc", "host", "every_line_arrives_whole")
        + _in("irc/connection", "runner", "long_texts_arrive_whole"),
    ),
    Attack(
        24,
        "Servers cut lines at 512 bytes; long lines of others arrive in two",
        _in("core", "texts", "no_line_is_longer_than_the_limit")
        + _in("core", "cut_lines", "a_text_that_came_in_several_lines")
        + _in("core", "cut_lines", "a_key_exchange_whose_messages_are_cut")
        + _in("wire", "rejoin", "cut_into_two_lines_at_every_position"),
    ),
    Attack(
        25,
        "Fragments of several clients between each other; a bouncer that plays old lines again",
        _in("wire", "fragment", "pieces_of_another_sender_neither_fit_nor_disturb")
        + _in("robustness", "fuzz", "fragments_in_any_order_give_the_text_or_nothing")
        + _in("attacks", "attacks", "a_whole_recorded_conversation_played_again_opens_and_shows_nothing"),
    ),
    Attack(
        26,
        "The length of a message tells what it says",
        _in(
            "core",
            "extras",
            "every_message_fills_its_bucket",
            "texts_of_one_bucket_cannot_be_told_apart_by_their_length",
            "a_heartbeat_looks_like_a_short_text",
        ),
    ),
    Attack(
        27,
        "MAC keys revealed too early, never, or gathered without bound",
        _in(
            "v3",
            "revelation",
            "nothing_is_revealed_while_keys_may_be_used",
            "a_used_key_is_revealed_when_ours_is_forgotten_and_only_once",
            "keys_waiting_to_be_revealed_are_bounded",
        ),
    ),
    Attack(
        28,
        "A peer that stops a verification when it has learned the result; guesses without end",
        _in(
            "attacks",
            "attacks",
            "a_peer_that_stops_a_verification_leaves_no_result",
            "every_guess_of_a_peer_needs_an_answer_of_the_user",
        ),
    ),
    Attack(
        29,
        "Equal secrets in swapped roles or another session; questions that are spoofed",
        _in(
            "smp",
            "sessions",
            "a_relay_cannot_hand_a_verification_on",
            "the_session_id_alone_tells_two_sessions_apart",
        )
        + _in("smp", "refused", "a_question", "a_question_without_its_end"),
    ),
    Attack(
        30,
        "Exponents 0 and q, huge counts and numbers, proofs that come back",
        _in(
            "smp",
            "refused",
            "an_illegal_exponent",
            "a_wrong_count",
            "a_huge_number_costs_no_more_than_an_honest_one",
            "our_own_proofs_are_none_of_the_peers",
        ),
    ),
    Attack(
        31,
        "Leading zeros of r, keys, shared secrets, public values and signatures",
        _in("attacks", "attacks", "an_r_with_leading_zeros")
        + _in("crypto", "modp", "a_shared_secret_with_leading_zeros_is_minimal")
        + _in("v3", "kdf", "a_shared_secret_with_leading_zeros_is_hashed_without_them")
        + _in(
            "crypto",
            "dsa",
            "short_halves_are_padded_on_the_left",
            "our_own_short_halves_are_padded_on_the_left",
        ),
    ),
    Attack(
        32,
        "DSA: nonces used twice, M beyond q, r and s out of range, huge parameters",
        _in("attacks", "attacks", "no_nonce_is_used_twice")
        + _in(
            "crypto",
            "dsa",
            "edge_values_of_m_both_ways",
            "halves_outside_the_group_are_refused",
            "foreign_numbers_are_refused_and_raise_nothing",
        )
        + _in("robustness", "bad_input", "foreign_dsa_parameters")
        + _in("robustness", "bad_input", "signature_halves_at_the_ends_of_their_range"),
    ),
    Attack(
        33,
        "Counters that wrap, or are equal in both directions",
        _in(
            "v3",
            "data_messages",
            "no_counter_is_sent_twice_at_the_end_of_its_range",
            "each_pair_of_keys_has_its_own_counters",
        )
        + _in("robustness", "refused", "the_largest_counter_and_nothing_after_it"),
    ),
    Attack(
        34,
        "MACs compared in varying time",
        _in(
            "attacks",
            "attacks",
            "macs_and_hashes_are_compared_in_constant_time",
            "macs_of_version_4_are_compared_in_constant_time",
        ),
    ),
    Attack(
        35,
        "Keys that are left after the end",
        _in("attacks", "attacks", "after_the_end_old_messages_are_unreadable")
        + _in("v3", "data_messages", "nothing_of_the_session_is_left_when_it_has_ended"),
    ),
    Attack(
        36,
        "Texts typed before the exchange has ended, or in a finished conversation, leave in clear",
        _in(
            "core",
            "waiting_texts",
            "the_first_text_asks_for_a_conversation_and_all_leave_in_order",
            "somebody_else_answers_for_a_verified_peer",
        )
        + _in("core", "starting", "texts_wait_while_starting_and_leave_encrypted_in_order")
        + _in("clients", "chat", "nothing_leaves_in_the_clear_after_the_peer_was_killed"),
    ),
    Attack(
        37,
        "Changes of nick, quits, case of nicks, the same nick on two networks",
        _in(
            "irc",
            "host",
            "a_conversation_follows_their_nick",
            "a_stranger_who_takes_a_nick_has_no_part_in_the_conversation",
            "a_nick_in_other_capitals_is_the_same",
            "another_network_has_another_identity_and_other_people",
        ),
    ),
    Attack(
        38,
        "Own instance tags after a restart; two clients of one account; tags 0 and 1 to 255",
        _in(
            "core",
            "instance_tags",
            "an_illegal_sender_is_discarded_without_an_answer",
            "an_illegal_receiver_is_discarded",
            "only_a_commit_may_be_for_everybody",
        )
        + _in(
            "store",
            "tags",
            "the_tag_is_the_same_the_next_time",
            "a_second_process_takes_another_tag",
        ),
    ),
    Attack(
        39,
        "Decrypted texts in logs, secrets in the history of commands",
        _in("robustness", "canary", "nothing_secret_in_any_repr", "nothing_secret_in_errors")
        + _in("bot", "process", "the_log_holds_neither_texts_nor_nicks")
        + _in("cli", "chat_prompts", "a_secret_is_not_echoed_and_not_sent"),
    ),
    Attack(
        40,
        "Base64 with blanks, with equals signs inside, without its dot; two messages in a line",
        _in("attacks", "attacks", "odd_base64", "two_messages_in_one_line")
        + _in("wire", "rejoin", "the_dot_alone_in_the_last_line"),
    ),
    Attack(
        41,
        "Version 4: a transitional signature is forged, and takes over the trust in an older key",
        _in("v4", "profile", "a_forged_transitional_signature_claims_nothing_of_its_victim")
        + _in("v4", "refused_dake", "a_transitional_signature_says_nothing"),
    ),
    Attack(
        42,
        "Version 4: Identities that cross are answered by both, or repeated, and nobody finishes",
        _in(
            "v4",
            "dake_crossing",
            "two_of_us_in_every_order",
            "with_otr4j_in_every_order",
            "what_we_repeat_breaks_nothing_that_is_on_its_way",
        ),
    ),
    Attack(
        43,
        "Version 4: recorded or made-up Identities make us send seven lines each",
        _in(
            "v4",
            "refused_floods",
            "answers_are_rationed",
            "what_is_said_again_by_itself_is_rationed_too",
            "we_begin_in_a_flood",
            "the_peer_begins_and_then_comes_a_flood",
            "a_running_session_is_left_alone",
        ),
    ),
    Attack(
        44,
        "Version 4: an exchange of an older version inside a session, or after it",
        _in(
            "v4",
            "refused_versions",
            "a_message_of_an_older_version_is_ignored",
            "a_query_for_an_older_version_is_ignored",
            "a_tag_for_an_older_version_starts_nothing",
            "an_error_after_a_session_leads_to_no_older_version",
            "a_contact_that_has_spoken_version_4_opens_an_older_one",
            "starts_in_two_versions_cross_and_the_newer_one_counts",
        ),
    ),
    Attack(
        45,
        "Version 4: points of small order and values outside the group, with all that follows made right",
        _in("v4", "refused_dake", "an_illegal_value_in_an_identity", "an_illegal_value_in_an_auth_r")
        + _in(
            "v4",
            "ratchet_forged",
            "an_illegal_point_in_a_data_message",
            "an_illegal_value_in_a_data_message",
            "nothing_but_the_check_of_points_holds_them_off",
        ),
    ),
    Attack(
        46,
        "Version 4: a ring in which a key stands twice shows who has signed",
        _in(
            "v4",
            "refused_dake",
            "a_ring_of_equal_keys_in_an_identity",
            "a_ring_of_equal_keys_in_an_auth_r",
        ),
    ),
    Attack(
        47,
        "Version 4: huge numbers of skipped messages cost memory and time",
        _in(
            "v4",
            "ratchet_limits",
            "one_more_is_refused_and_costs_nothing",
            "the_oldest_gives_way_where_more_are_lost_in_all",
            "forged_numbers_cost_no_more_than_the_limit",
        ),
    ),
    Attack(
        48,
        "Version 4: late messages of earlier ratchets are lost, as by a wrong number in the store of keys",
        _in(
            "v4",
            "ratchet_network",
            "any_network",
            "the_previous_count_leads_to_what_was_lost_at_the_end_of_a_ratchet",
        ),
    ),
    Attack(
        49,
        "Version 4: MAC keys revealed while their message is still awaited, too many, or none",
        _in("v4", "ratchet_network", "any_network")
        + _in(
            "v4",
            "ratchet_limits",
            "mac_keys_leave_a_few_at_a_time",
            "mac_keys_that_wait_are_bounded_and_the_newest_are_kept",
        )
        + _in("v4", "ratchet_forged", "revealed_keys_are_not_covered")
        + _in("attacks", "attacks", "a_revealed_key_of_version_4_forges_nothing_though_messages_are_delayed"),
    ),
    Attack(
        50,
        "Version 4: an exchange with somebody under another name, or while a name changes hands",
        _in("v4", "refused_dake", "other_names_in_an_auth_r", "other_names_in_an_auth_i")
        + _in(
            "v4",
            "dake_names",
            "our_name_changes_while_our_identity_is_out",
            "names_are_compared_byte_for_byte",
        ),
    ),
    Attack(
        51,
        "Version 4: our own messages come back with another tag written in",
        _in(
            "v4",
            "refused_dake",
            "our_own_identity",
            "our_own_auth_r",
            "our_own_auth_i",
            "our_own_data_message",
        ),
    ),
    Attack(
        52,
        "Version 4: pieces under an identifier that somebody else has read on the way",
        _in(
            "v4",
            "refused_floods",
            "a_piece_of_somebody_else_spoils_one_message_and_not_the_next",
            "each_message_of_ours_has_an_identifier_of_its_own",
        ),
    ),
    Attack(
        53,
        "The server gives somebody, in mid-conversation, a name that channels or services have",
        _in("irc", "host", "whoever_is_renamed_by_the_server_stays_a_person")
        + _in("client", "chat", "whoever_is_renamed_by_the_server_stays_a_person"),
    ),
    Attack(
        54,
        "The server says in mid-conversation that it is another network, or compares nicks otherwise",
        _in("irc", "host", "encrypted_conversations_do_not_turn_plain_with_the_network"),
    ),
    Attack(
        55,
        "The server calls what nicks begin with a mark of channels",
        _in("irc", "isupport", "a_token_that_makes_no_sense_changes_nothing")
        + _in("client", "names", "who_is_a_person"),
    ),
    Attack(
        56,
        "Version 4: an Auth-R once more, or written otherwise, opens the same session again, in which texts "
        "replay and revealed MAC keys forge",
        _in(
            "v4",
            "dake_replays",
            "the_same_auth_r_written_otherwise",
            "an_auth_r_with_one_key_of_an_earlier_one",
            "two_answers_take_turns",
            "nothing_is_read_twice_or_under_a_revealed_key",
            "no_more_answers_count_than_the_identity_went_out",
            "the_secrets_of_the_identity_end_with_what_they_were_kept_for",
        ),
    ),
    Attack(
        57,
        "Version 4: an old Identity takes the place of the one that the peer is about to sign for",
        _in(
            "v4",
            "dake_replays",
            "an_identity_of_somebody_else_does_not_come_between",
            "the_same_identity_again_and_again_leaves_room_for_another",
            "an_identity_that_has_led_to_a_session_leads_to_no_other",
        )
        + _in("peers", "network_of_version_4", "a_whole_exchange_played_again_and_again_to_the_responder"),
    ),
    Attack(
        58,
        "Version 4: queries of strangers have us repeat an Identity, and keep its secrets, for ever",
        _in(
            "v4",
            "dake_replays",
            "queries_get_an_identity_a_few_times_and_then_a_fresh_one_when_it_has_aged",
        )
        + _in("peers", "floods", "an_unanswered_identity_is_repeated_as_it_was_and_not_at_once"),
    ),
)
