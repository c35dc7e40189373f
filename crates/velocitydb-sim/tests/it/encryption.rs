//! What holds of a log holds of an encrypted one: the same crashes, faults, flipped bits, cut
//! files and repairs. Nodes are encrypted in a third of the random runs (`node`).

use crate::model::encrypted;
use crate::{crash, damage, fault, node_damage, repair};

#[test]
fn an_encrypted_log_survives_crashes() {
    encrypted(crash::nothing_written_is_lost_when_the_process_dies);
    encrypted(crash::nothing_synced_is_lost_when_power_is_lost);
    encrypted(crash::a_crash_while_recovering_is_recovered);
    encrypted(crash::reused_files_never_show_old_records);
}

#[test]
fn damage_of_an_encrypted_log_is_named() {
    encrypted(damage::a_flipped_bit_is_named_or_harmless);
    encrypted(damage::a_cut_file_gives_a_prefix_or_is_named);
    encrypted(damage::a_lost_segment_is_named_unless_it_is_the_newest);
    encrypted(damage::segments_of_another_log_are_refused);
}

#[test]
fn an_encrypted_log_survives_faults() {
    encrypted(fault::any_operation_may_fail_once);
    encrypted(fault::any_operation_may_find_the_disk_full_once);
    encrypted(fault::a_failed_sync_closes_the_log_for_everyone_and_is_not_retried);
}

#[test]
fn an_encrypted_log_is_repaired() {
    encrypted(repair::a_whole_log_is_left_alone);
    encrypted(repair::damage_in_the_middle_cuts_there);
    encrypted(repair::a_hole_keeps_what_is_before_it);
    encrypted(repair::damage_that_a_checkpoint_stands_for_costs_no_entry);
    encrypted(repair::a_log_that_is_missing_or_ends_too_early_begins_anew_behind_the_checkpoint);
}

#[test]
fn damage_of_an_encrypted_node_is_named() {
    encrypted(node_damage::every_flipped_bit_of_a_checkpoint_is_named_and_an_older_one_used);
    encrypted(node_damage::every_flipped_bit_of_the_log_is_named_or_harmless);
    encrypted(node_damage::every_cut_file_is_named_unless_it_ends_between_two_records);
    encrypted(node_damage::a_lost_file_is_named_or_not_needed);
    encrypted(node_damage::without_any_whole_checkpoint_the_missing_entries_are_named);
    encrypted(node_damage::damage_before_the_newest_checkpoint_costs_nothing);
}
