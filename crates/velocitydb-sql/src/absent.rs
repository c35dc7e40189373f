//! Names of PostgreSQL 15 that mean nothing here: functions, types, settings. Who uses one is told that
//! it is not supported; of other names, that there is none.
//!
//! Tests: tests/it/support.rs, by the tables in docs/sql.

/// Whether a function, an aggregate or a construct that is called like one is PostgreSQL's alone.
pub(crate) fn is_function(name: &str) -> bool {
    has(FUNCTIONS, name)
}

/// Whether a type is PostgreSQL's alone.
pub(crate) fn is_type(name: &str) -> bool {
    has(TYPES, name)
}

/// Whether a setting is PostgreSQL's alone.
pub(crate) fn is_setting(name: &str) -> bool {
    has(SETTINGS, name)
}

/// Whether a setting is about PostgreSQL's ways to do what is done otherwise here, so that it makes no
/// difference.
pub(crate) fn makes_no_difference(name: &str) -> bool {
    has(NO_DIFFERENCE, name)
}

/// All functions that are PostgreSQL's alone.
pub fn functions() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.split_ascii_whitespace()
}

/// All types that are PostgreSQL's alone.
pub fn types() -> impl Iterator<Item = &'static str> {
    TYPES.split_ascii_whitespace()
}

/// All settings that are PostgreSQL's alone.
pub fn settings() -> impl Iterator<Item = &'static str> {
    SETTINGS.split_ascii_whitespace()
}

/// All settings that make no difference.
pub fn no_difference() -> impl Iterator<Item = &'static str> {
    NO_DIFFERENCE.split_ascii_whitespace()
}

fn has(names: &str, name: &str) -> bool {
    names.split_ascii_whitespace().any(|known| known == name)
}

/// Functions.
const FUNCTIONS: &str = "\
    abbrev acldefault aclexplode acosd area array_to_tsvector asind atan2d atand bit_count \
    bound_box box brin_desummarize_range brin_summarize_new_values brin_summarize_range center \
    circle convert cosd cotd current_query current_time cursor_to_xml cursor_to_xmlschema \
    database_to_xml database_to_xml_and_xmlschema database_to_xmlschema datemultirange daterange \
    diagonal diameter enum_first enum_last enum_range family first_value generate_series \
    generate_subscripts get_bit get_current_ts_config gin_clean_pending_list \
    has_foreign_data_wrapper_privilege has_parameter_privilege has_server_privilege height host \
    hostmask inet_client_addr inet_client_port inet_merge inet_same_family inet_server_addr \
    inet_server_port int4multirange int4range int8multirange int8range is_normalized isclosed \
    isempty ishorizontal isopen isvertical json_array_elements json_array_elements_text json_each \
    json_each_text json_object_keys json_populate_record json_populate_recordset json_to_record \
    json_to_recordset json_to_tsvector jsonb_array_elements jsonb_array_elements_text jsonb_each \
    jsonb_each_text jsonb_object_keys jsonb_path_exists jsonb_path_exists_tz jsonb_path_match \
    jsonb_path_match_tz jsonb_path_query jsonb_path_query_array jsonb_path_query_array_tz \
    jsonb_path_query_first jsonb_path_query_first_tz jsonb_path_query_tz jsonb_populate_record \
    jsonb_populate_recordset jsonb_set_lax jsonb_to_record jsonb_to_recordset jsonb_to_tsvector \
    lag last_value lead line lo_close lo_creat lo_create lo_export lo_from_bytea lo_get lo_import \
    lo_lseek lo_lseek64 lo_open lo_put lo_tell lo_tell64 lo_truncate lo_truncate64 lo_unlink \
    localtime lower_inc lower_inf lseg macaddr8_set7bit make_time makeaclitem masklen multirange \
    mxid_age netmask network normalize npoints nth_value ntile nummultirange numnode numrange \
    parse_ident path pg_backup_start pg_backup_stop pg_blocking_pids pg_cancel_backend \
    pg_collation_actual_version pg_collation_for pg_column_compression pg_column_size \
    pg_conf_load_time pg_control_checkpoint pg_control_init pg_control_recovery pg_control_system \
    pg_copy_logical_replication_slot pg_copy_physical_replication_slot \
    pg_create_logical_replication_slot pg_create_physical_replication_slot \
    pg_create_restore_point pg_current_logfile pg_current_snapshot pg_current_wal_flush_lsn \
    pg_current_wal_insert_lsn pg_current_wal_lsn pg_current_xact_id \
    pg_current_xact_id_if_assigned pg_database_collation_actual_version pg_describe_object \
    pg_drop_replication_slot pg_encoding_max_length pg_export_snapshot pg_filenode_relation \
    pg_get_catalog_foreign_keys pg_get_keywords pg_get_object_address \
    pg_get_wal_replay_pause_state pg_get_wal_resource_managers pg_identify_object \
    pg_identify_object_as_address pg_import_system_collations pg_index_column_has_property \
    pg_index_has_property pg_indexam_has_property pg_is_wal_replay_paused pg_jit_available \
    pg_last_committed_xact pg_last_wal_receive_lsn pg_last_wal_replay_lsn \
    pg_last_xact_replay_timestamp pg_listening_channels pg_log_backend_memory_contexts \
    pg_logical_emit_message pg_logical_slot_get_binary_changes pg_logical_slot_get_changes \
    pg_logical_slot_peek_binary_changes pg_logical_slot_peek_changes pg_ls_archive_statusdir \
    pg_ls_dir pg_ls_logdir pg_ls_logicalmapdir pg_ls_logicalsnapdir pg_ls_replslotdir \
    pg_ls_tmpdir pg_ls_waldir pg_options_to_table pg_partition_root pg_partition_tree \
    pg_postmaster_start_time pg_promote pg_read_binary_file pg_read_file pg_relation_filenode \
    pg_relation_filepath pg_reload_conf pg_replication_origin_advance \
    pg_replication_origin_create pg_replication_origin_drop pg_replication_origin_oid \
    pg_replication_origin_progress pg_replication_origin_session_is_setup \
    pg_replication_origin_session_progress pg_replication_origin_session_reset \
    pg_replication_origin_session_setup pg_replication_origin_xact_reset \
    pg_replication_origin_xact_setup pg_replication_slot_advance pg_rotate_logfile \
    pg_safe_snapshot_blocking_pids pg_sequence_parameters pg_settings_get_flags pg_size_bytes \
    pg_sleep pg_sleep_for pg_sleep_until pg_snapshot_xip pg_snapshot_xmax pg_snapshot_xmin \
    pg_stat_clear_snapshot pg_stat_file pg_stat_get_activity pg_stat_get_snapshot_timestamp \
    pg_stat_reset pg_stat_reset_replication_slot pg_stat_reset_shared \
    pg_stat_reset_single_function_counters pg_stat_reset_single_table_counters pg_stat_reset_slru \
    pg_stat_reset_subscription_stats pg_switch_wal pg_tablespace_databases pg_tablespace_size \
    pg_terminate_backend pg_trigger_depth pg_typeof pg_visible_in_snapshot pg_wal_lsn_diff \
    pg_wal_replay_pause pg_wal_replay_resume pg_walfile_name pg_walfile_name_offset \
    pg_xact_commit_timestamp pg_xact_commit_timestamp_origin pg_xact_status phraseto_tsquery \
    plainto_tsquery point polygon query_to_xml query_to_xml_and_xmlschema query_to_xmlschema \
    querytree radius range_agg range_intersect_agg range_merge regexp_instr regexp_matches \
    regexp_split_to_table row row_number row_security_active row_to_json scale schema_to_xml \
    schema_to_xml_and_xmlschema schema_to_xmlschema set_bit set_masklen setseed setweight sha224 \
    sha256 sha384 sha512 sind slope string_to_table strip suppress_redundant_updates_trigger \
    table_to_xml table_to_xml_and_xmlschema table_to_xmlschema tand timeofday to_ascii \
    to_regcollation to_regoper to_regoperator to_regprocedure to_tsquery to_tsvector ts_debug \
    ts_delete ts_filter ts_headline ts_lexize ts_parse ts_rank ts_rank_cd ts_rewrite ts_stat \
    ts_token_type tsmultirange tsquery_phrase tsrange tstzmultirange tstzrange tsvector_to_array \
    tsvector_update_trigger txid_current txid_current_if_assigned txid_current_snapshot \
    txid_snapshot_xip txid_snapshot_xmax txid_snapshot_xmin txid_status txid_visible_in_snapshot \
    unistr unnest upper_inc upper_inf websearch_to_tsquery width xml_is_well_formed \
    xml_is_well_formed_content xml_is_well_formed_document xmlagg xmlcomment xmlconcat xmlelement \
    xmlexists xmlforest xmlparse xmlpi xmlroot xmlserialize xpath xpath_exists";

/// Types, by their short names.
const TYPES: &str = "\
    aclitem bit box cidr circle cstring datemultirange daterange gtsvector inet int2vector \
    int4multirange int4range int8multirange int8range jsonpath line lseg macaddr macaddr8 money \
    nummultirange numrange oidvector path pg_lsn pg_snapshot polygon record refcursor \
    regcollation regconfig regdictionary regoper regoperator tid time timetz tsmultirange \
    tsquery tsrange tstzmultirange tstzrange tsvector txid_snapshot unknown varbit void xid8 \
    xml";

/// Settings.
const SETTINGS: &str = "\
    allow_in_place_tablespaces allow_system_table_mods archive_cleanup_command archive_command \
    archive_library archive_mode archive_timeout array_nulls authentication_timeout autovacuum \
    autovacuum_analyze_scale_factor autovacuum_analyze_threshold autovacuum_freeze_max_age \
    autovacuum_max_workers autovacuum_multixact_freeze_max_age autovacuum_naptime \
    autovacuum_vacuum_cost_delay autovacuum_vacuum_cost_limit \
    autovacuum_vacuum_insert_scale_factor autovacuum_vacuum_insert_threshold \
    autovacuum_vacuum_scale_factor autovacuum_vacuum_threshold autovacuum_work_mem \
    backslash_quote backtrace_functions bgwriter_delay bgwriter_flush_after bgwriter_lru_maxpages \
    bgwriter_lru_multiplier block_size bonjour bonjour_name checkpoint_completion_target \
    checkpoint_flush_after checkpoint_timeout checkpoint_warning client_connection_check_interval \
    cluster_name compute_query_id config_file data_checksums data_directory data_directory_mode \
    data_sync_retry db_user_namespace deadlock_timeout debug_assertions debug_discard_caches \
    debug_pretty_print debug_print_parse debug_print_plan debug_print_rewritten \
    default_text_search_config default_transaction_deferrable dynamic_library_path \
    dynamic_shared_memory_type event_source exit_on_error extension_destdir external_pid_file \
    force_parallel_mode fsync full_page_writes gin_fuzzy_search_limit gin_pending_list_limit \
    hba_file hot_standby hot_standby_feedback huge_page_size huge_pages ident_file \
    ignore_checksum_failure ignore_invalid_pages ignore_system_indexes in_hot_standby \
    jit_debugging_support jit_dump_bitcode jit_profiling_support jit_provider krb_caseins_users \
    krb_server_keyfile lc_collate lc_ctype lc_messages lc_monetary lc_numeric lc_time \
    listen_addresses lo_compat_privileges local_preload_libraries log_autovacuum_min_duration \
    log_checkpoints log_connections log_destination log_directory log_disconnections log_duration \
    log_error_verbosity log_executor_stats log_file_mode log_filename log_hostname \
    log_line_prefix log_lock_waits log_min_duration_sample log_min_duration_statement \
    log_min_error_statement log_min_messages log_parameter_max_length \
    log_parameter_max_length_on_error log_parser_stats log_planner_stats \
    log_recovery_conflict_waits log_replication_commands log_rotation_age log_rotation_size \
    log_startup_progress_interval log_statement log_statement_sample_rate log_statement_stats \
    log_temp_files log_timezone log_transaction_sample_rate log_truncate_on_rotation \
    logging_collector max_connections max_files_per_process max_function_args max_index_keys \
    max_locks_per_transaction max_logical_replication_workers max_pred_locks_per_page \
    max_pred_locks_per_relation max_pred_locks_per_transaction max_prepared_transactions \
    max_replication_slots max_slot_wal_keep_size max_stack_depth max_standby_archive_delay \
    max_standby_streaming_delay max_sync_workers_per_subscription max_wal_senders max_wal_size \
    max_worker_processes min_dynamic_shared_memory min_wal_size old_snapshot_threshold \
    password_encryption port post_auth_delay pre_auth_delay primary_conninfo primary_slot_name \
    promote_trigger_file quote_all_identifiers recovery_end_command recovery_init_sync_method \
    recovery_min_apply_delay recovery_prefetch recovery_target recovery_target_action \
    recovery_target_inclusive recovery_target_lsn recovery_target_name recovery_target_time \
    recovery_target_timeline recovery_target_xid remove_temp_files_after_crash \
    restart_after_crash restore_command restrict_nonsystem_relation_kind segment_size \
    session_preload_libraries session_replication_role shared_buffers shared_memory_size \
    shared_memory_size_in_huge_pages shared_memory_type shared_preload_libraries ssl ssl_ca_file \
    ssl_cert_file ssl_ciphers ssl_crl_dir ssl_crl_file ssl_dh_params_file ssl_ecdh_curve \
    ssl_key_file ssl_library ssl_max_protocol_version ssl_min_protocol_version \
    ssl_passphrase_command ssl_passphrase_command_supports_reload ssl_prefer_server_ciphers \
    stats_fetch_consistency superuser_reserved_connections synchronous_commit \
    synchronous_standby_names syslog_facility syslog_ident syslog_sequence_numbers \
    syslog_split_messages tcp_keepalives_count tcp_keepalives_idle tcp_keepalives_interval \
    tcp_user_timeout temp_file_limit timezone_abbreviations trace_notify trace_recovery_messages \
    trace_sort track_activities track_activity_query_size track_commit_timestamp track_counts \
    track_functions track_io_timing track_wal_io_timing transaction_deferrable \
    transform_null_equals unix_socket_directories unix_socket_group unix_socket_permissions \
    update_process_title vacuum_cost_page_dirty vacuum_cost_page_hit vacuum_cost_page_miss \
    vacuum_defer_cleanup_age vacuum_failsafe_age vacuum_freeze_min_age vacuum_freeze_table_age \
    vacuum_multixact_failsafe_age vacuum_multixact_freeze_min_age \
    vacuum_multixact_freeze_table_age wal_block_size wal_buffers wal_compression \
    wal_consistency_checking wal_decode_buffer_size wal_init_zero wal_keep_size wal_level \
    wal_log_hints wal_receiver_create_temp_slot wal_receiver_status_interval wal_receiver_timeout \
    wal_recycle wal_retrieve_retry_interval wal_segment_size wal_sender_timeout \
    wal_skip_threshold wal_sync_method wal_writer_delay wal_writer_flush_after xmlbinary \
    zero_damaged_pages";

/// Settings that are taken, with a notice.
const NO_DIFFERENCE: &str = "\
    backend_flush_after commit_delay commit_siblings constraint_exclusion cpu_index_tuple_cost \
    cpu_operator_cost cpu_tuple_cost cursor_tuple_fraction default_statistics_target \
    default_toast_compression effective_cache_size effective_io_concurrency enable_async_append \
    enable_bitmapscan enable_gathermerge enable_hashagg enable_hashjoin enable_incremental_sort \
    enable_indexonlyscan enable_indexscan enable_material enable_memoize enable_mergejoin \
    enable_nestloop enable_parallel_append enable_parallel_hash enable_partition_pruning \
    enable_partitionwise_aggregate enable_partitionwise_join enable_seqscan enable_sort \
    enable_tidscan from_collapse_limit geqo geqo_effort geqo_generations geqo_pool_size geqo_seed \
    geqo_selection_bias geqo_threshold hash_mem_multiplier jit jit_above_cost jit_expressions \
    jit_inline_above_cost jit_optimize_above_cost jit_tuple_deforming join_collapse_limit \
    logical_decoding_work_mem maintenance_io_concurrency maintenance_work_mem \
    max_parallel_maintenance_workers max_parallel_workers max_parallel_workers_per_gather \
    min_parallel_index_scan_size min_parallel_table_scan_size parallel_leader_participation \
    parallel_setup_cost parallel_tuple_cost plan_cache_mode random_page_cost \
    recursive_worktable_factor seq_page_cost synchronize_seqscans temp_buffers temp_tablespaces \
    vacuum_cost_delay vacuum_cost_limit work_mem";
