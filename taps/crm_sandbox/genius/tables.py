"""The tables of a Genius database: name → columns, in the notation of their description.

`PK` is part of the key, `NN` not null; the types are those of `TYPES` in `generate.py`.
"""

from __future__ import annotations

__all__ = ["TABLES"]

TABLES = {
    "division_group": """
        id smallint PK, group_label string(64), region int NN, default_time_zone_name
        string(64) NN, intern_payroll_start int, painter_payroll_start int, is_active
        boolean NN, cc_profile_id string(32), mes_profile_id string(25), mes_profile_key
        string(50), docusign_acct_id string(50), paysimple_username string(20),
        paysimple_secret string(150), hub_account_id int, created_at datetime NN, updated_at
        datetime NN
    """,
    "division_region": """
        id smallint PK, name string(64), is_active boolean NN
    """,
    "division": """
        id int PK, group_id smallint, region_id smallint, label string(255), abbreviation
        string(50), is_utility boolean NN, is_corp boolean NN, is_omniscient boolean NN,
        is_inactive int NN, account_scheduler_id int, created_at datetime NN, updated_at
        datetime NN
    """,
    "user_title": """
        id smallint PK, title string(100), abbreviation string(10), roles string(256),
        type_id smallint NN, section_id smallint, sort smallint NN, pay_component_group_id
        smallint, is_active boolean NN, is_unique_per_division boolean NN, created_at
        datetime NN, updated_at datetime NN
    """,
    "user_data": """
        user_id int PK, division_id int NN, title_id smallint, manager_user_id int,
        first_name string(100), first_name_alt string(100), last_name string(100), email
        string(254), personal_email string(254), birth_date date, gender_id int,
        marital_status_id int, time_zone_name string(50) NN, hired_on datetime, start_date
        datetime, add_user_id int, add_datetime datetime, is_inactive boolean NN,
        inactive_on datetime, inactive_reason_id smallint, inactive_reason_other
        string(255), inactive_transfer_division_id int, updated_at datetime NN,
        user_associations_id int
    """,
    "users_userassociations": """
        id int PK, primary_user_id int, created_at datetime, updated_at datetime
    """,
    "prospect": """
        id int PK, division_id int NN, first_name string(100), last_name string(100),
        alt_first_name string(100), alt_last_name string(100), address1 string(255),
        address2 string(255), city string(100), county string(100), state string(2), zip
        string(20), phone1 string(20), phone2 string(20), email string(254), notes text,
        add_user_id int NN, add_date datetime, marketsharp_id string(100), leap_customer_id
        string(100), is_address_valid smallint NN, updated_at datetime NN, user_id int,
        year_built smallint, third_party_source_id int
    """,
    "prospect_source": """
        id int PK, prospect_id int NN, marketing_source_id int NN, source_date datetime,
        notes text, add_user_id int NN, add_date datetime NN, updated_at datetime,
        source_user_id int
    """,
    "lead": """
        lead_id int PK, contact int NN, division int NN, first_name string(50), last_name
        string(50), address1 string(50), address2 string(50), city string(50), state
        string(2), zip string(7), cdyne_county string(25), is_valid_address smallint NN,
        email string(100), phone1 string(12), type1 smallint NN, phone2 string(12), type2
        smallint NN, phone3 string(12), type3 smallint NN, phone4 string(12), type4 smallint
        NN, source smallint NN, source_notes string(64), sourced_on datetime, job_type
        smallint NN, rating smallint, year_built string(4), is_year_built_verified smallint
        NN, is_zillow smallint NN, is_express_consent smallint NN, express_consent_set_by
        int, express_consent_set_on datetime, express_consent_source smallint,
        express_consent_upload_file_id int, is_express_consent_being_reviewed smallint NN,
        express_consent_being_reviewed_by int, notes text, status smallint, substatus
        smallint, substatus_reason int, alternate_id int, added_by int NN, added_on
        datetime, viewed_on datetime, is_estimate_set smallint NN, estimate_set_by int,
        estimate_set_on datetime, dead_on datetime, dead_by int, dead_note string(100),
        is_credit_request smallint, credit_request_by int, credit_request_on datetime,
        credit_request_reason text, credit_request_status smallint, credit_request_update_on
        datetime, credit_request_update_by int, credit_request_note text, lead_cost float
        NN, import_source string(100), call_screen_viewed_on datetime, call_screen_viewed_by
        int, copied_to_id int, copied_to_on datetime, copied_from_id int, copied_from_on
        datetime, cwp_client int NN, cwp_referral int, rc_paid_to int, rc_paid_on datetime,
        with_dm smallint NN, voicemail_file string(124), agent_id string(48), agent_name
        string(124), invalid_address smallint NN, is_valid_email smallint NN,
        is_high_potential smallint NN, is_mobile_lead smallint NN, is_dnc smallint, is_dummy
        smallint NN, lead_central_estimate_date datetime, do_not_call_before datetime,
        is_estimate_confirmed smallint, estimate_confirmed_by int, estimate_confirmed_on
        datetime, added_by_latitude decimal(9,7), added_by_longitude decimal(10,7),
        is_carpentry_followup smallint NN, carpentry_followup_notes text, marketing_source
        int, prospect_id int, added_by_supervisor int, salesrabbit_lead_id int,
        third_party_source_id int, updated_at datetime
    """,
    "appointment_type": """
        id int PK, label string(50), is_active boolean NN
    """,
    "appointment_outcome_type": """
        id int PK, label string(50), sort_idx smallint NN, is_active boolean NN, created_at
        datetime NN, updated_at datetime NN
    """,
    "appointment_outcome": """
        id int PK, type_id smallint NN, label string(50), is_active boolean NN, created_at
        datetime NN, updated_at datetime NN
    """,
    "appointment": """
        id int PK, prospect_id int NN, prospect_source_id int, user_id int, type_id int NN,
        date date, time time, duration interval, address1 string(255), address2 string(255),
        city string(100), state string(2), zip string(20), email string(254), notes text,
        add_user_id int NN, add_date datetime NN, assign_date datetime, confirm_user_id int,
        confirm_date datetime, confirm_with string(100), spouses_present int NN, is_complete
        int NN, complete_outcome_id int, complete_user_id int, complete_date datetime,
        marketsharp_id string(100), marketsharp_appt_type string(100), leap_estimate_id
        string(100), marketing_task_id int NN, updated_at datetime NN, third_party_source_id
        int
    """,
    "service": """
        id smallint PK, label string(100), is_active boolean NN, is_lead_required boolean
        NN, order_number smallint NN, created_at datetime NN, updated_at datetime NN
    """,
    "appointment_to_service": """
        appointment_id int PK, service_id smallint PK, created_at datetime NN, updated_at
        datetime NN
    """,
    "quote": """
        id int PK, prospect_id int NN, appointment_id int NN, job_id int, client_cid int,
        service_id smallint NN, label string(255), description text, amount decimal(10,2)
        NN, expire_date date, status_id int NN, contract_file_id int, estimate_file_id int,
        add_user_id int NN, add_date datetime NN, updated_at datetime NN
    """,
    "marketing_source_type": """
        id int PK, label string(255), description text, is_active boolean NN, list_order
        int, created_at datetime NN, updated_at datetime
    """,
    "marketing_source": """
        id int PK, type_id int NN, label string(255), description text, start_date date,
        end_date date, add_user_id int NN, add_date datetime, is_active boolean NN,
        is_allow_lead_modification boolean NN, updated_at datetime NN
    """,
    "marketsharp_source": """
        id int PK, marketsharp_id string(256) NN, source_name string(128) NN, inactive
        smallint NN, created_at datetime NN, updated_at datetime NN
    """,
    "marketsharp_marketing_source_map": """
        marketsharp_id string(128) PK, marketing_source_id int, created_at datetime NN,
        updated_at datetime NN
    """,
    "job_status": """
        id int PK, label string(50), is_system smallint NN
    """,
    "job": """
        id int PK, client_cid int, prospect_id int NN, division_id int NN, user_id int,
        production_user_id int, project_coordinator_user_id int, production_month int,
        subcontractor_id int, subcontractor_status_id smallint, subcontractor_confirmed
        smallint NN, status int NN, is_in_progress smallint NN, ready_status smallint,
        prep_status_id smallint, prep_status_set_date datetime, prep_status_is_reset
        smallint NN, prep_status_notes text, prep_issue_id string(32), service_id smallint
        NN, is_lead_pb smallint NN, contract_number string(50), contract_date date,
        contract_amount decimal(11,2) NN, contract_amount_difference text, contract_hours
        int NN, contract_file_id int, job_value decimal(11,2) NN, deposit_amount
        decimal(11,2) NN, deposit_type_id smallint, is_financing smallint NN, sales_tax_rate
        decimal(7,5) NN, is_sales_tax_exempt smallint NN, commission_payout decimal(11,2)
        NN, accrued_commission_payout decimal(11,2) NN, sold_user_id int, sold_date date,
        start_request_date date, deadline_date date, ready_date date, jsa_sent smallint,
        start_date date, end_date date, add_user_id int NN, add_date datetime NN,
        cancel_date date, cancel_user_id int, cancel_reason_id smallint, is_refund smallint
        NN, refund_date date, refund_user_id int, finish_date date, is_earned_not_paid
        smallint NN, materials_arrival_date date, measure_date date, measure_time time,
        measure_user_id int, time_format smallint, materials_estimated_arrival_date date,
        materials_ordered datetime, price_level string(32), price_level_goal smallint,
        price_level_commission decimal(3,1), price_level_commission_reduction smallint,
        is_reviewed smallint NN, reviewed_by int, pp_id_updated smallint NN, hoa smallint,
        hoa_approved smallint, install_date date, install_time time, install_time_format
        smallint, materials_ordered_old smallint, start_month_old smallint,
        cogs_report_month string(50), is_cogs_report_month_updated smallint NN,
        forecast_month string(50), coc_sent_on datetime, coc_sent_by int, company_cam_link
        string(256), pm_finished_on date, estimate_job_duration smallint,
        payment_not_finalized_reason int, reasons_other string(255), payment_type int,
        payment_amount decimal(11,2), is_payment_finalized smallint, is_company_cam
        smallint, is_five_star_review smallint, projected_end_date date,
        is_company_cam_images_correct smallint, post_pm_closeout_date date,
        pre_pm_closeout_date date, actual_install_date datetime, in_progress_substatus_id
        int, is_loan_document_uptodate smallint, is_labor_adjustment_correct smallint,
        is_change_order_correct smallint, is_coc_pdf_attached smallint NN, updated_at
        datetime NN
    """,
    "job_financing": """
        job_id int PK, term_id int, financed_amount decimal(9,2) NN, max_financed_amount
        decimal(9,2) NN, bid_rate decimal(5,3), commission_reduction decimal(5,3), signed_on
        datetime, cancellation_period_expires_on datetime, app_submission_date datetime,
        is_joint_application smallint NN, applicant string(50), co_applicant string(50),
        status smallint NN, approved_on datetime, loan_expiration_date datetime, denied_on
        datetime, denied_by int, why_book text, would_book smallint, is_financing_factor
        smallint, satisfied text, docs_completed datetime, active_stipulation_notes text,
        is_active_stipulations_cleared smallint NN, legal_app_name string(100)
    """,
    "job_change_order_type": """
        id int PK, label string(32)
    """,
    "job_change_order_status": """
        id int PK, label string(32) NN, is_selectable smallint NN
    """,
    "job_change_order_reason": """
        id int PK, label string(100), description string(255)
    """,
    "job_change_order": """
        id int PK, job_id int NN, number string(20) NN, status_id smallint NN, type_id
        smallint NN, adjustment_change_order_id int, effective_date date NN, total_amount
        decimal(9,2) NN, add_user_id int, add_date datetime NN, sold_user_id int, sold_date
        datetime, cancel_user_id int, cancel_date datetime, reason_id smallint, envelope_id
        string(64), total_contract_amount decimal(9,2) NN, total_pre_change_orders_amount
        decimal(9,2) NN, signer_name string(100), signer_email string(100), financing_note
        string(255), updated_at datetime NN
    """,
    "job_change_order_item": """
        id int PK, change_order_id int NN, description string(256), amount decimal(8,2) NN,
        created_at datetime NN, updated_at datetime NN
    """,
    "integration_field_definition": """
        id int PK, integration_id int NN, label string(32) NN, key_name string(64) NN,
        is_user boolean NN, is_division boolean NN, hint string(255), input_type string(50)
    """,
    "integration_field": """
        id int PK, definition_id int NN, user_id int, division_id int, field_value
        string(128), created_at datetime NN, updated_at datetime NN
    """,
    "third_party_source": """
        id int PK, third_party_id string(64), third_party_source_type_id int NN
    """,
    "third_party_source_type": """
        id int PK, label string(50) NN
    """,
}
