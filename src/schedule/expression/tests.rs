//! The rules of crontab expressions, one by one.

use super::fields::*;
use super::*;

fn expression(text: &str, zone: Tz) -> Expression {
    Expression::parse(text, zone).expect(text)
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect(text)
}

/// The firings later than `from` and before `to`, as local times with their offsets.
fn firings(text: &str, zone: Tz, from: &str, to: &str) -> Vec<String> {
    expression(text, zone)
        .upcoming(at(from), 1000)
        .into_iter()
        .take_while(|firing| *firing < at(to))
        .map(|firing| firing.with_timezone(&zone).format("%d %H:%M:%S%:z").to_string())
        .collect()
}

fn values(kind: &FieldKind, text: &str) -> Vec<u32> {
    kind.parse(text).expect(text).values.into_iter().collect()
}

fn error(text: &str) -> String {
    Expression::parse(text, Tz::UTC).expect_err(text).to_string()
}

#[test]
fn five_six_and_seven_fields() {
    let from = at("2024-01-01T00:00:00Z");
    for (text, expected) in [
        ("30 2 * * *", "2024-01-01T02:30:00Z"),
        ("15 30 2 * * *", "2024-01-01T02:30:15Z"),
        ("15 30 2 1 1 * 2030", "2030-01-01T02:30:15Z"),
        ("  30\t2 *  * * ", "2024-01-01T02:30:00Z"),
    ] {
        assert_eq!(expression(text, Tz::UTC).next_after(from), Some(at(expected)), "{text}");
    }
}

#[test]
fn values_ranges_steps_and_lists() {
    assert_eq!(values(&MINUTE, "5,1-3,50-59/4,*/30"), [0, 1, 2, 3, 5, 30, 50, 54, 58]);
    assert_eq!(values(&HOUR, "20/2"), [20, 22]);
    assert_eq!(values(&DAY, "*/10"), [1, 11, 21, 31]);
    assert_eq!(values(&MONTH, "JAN,mar-May,December"), [1, 3, 4, 5, 12]);
    assert_eq!(values(&YEAR, "2024/40"), [2024, 2064]);
}

#[test]
fn weekdays_count_as_in_crontab() {
    for (text, expected) in [
        ("0", "1"),
        ("7", "1"),
        ("0,7", "1"),
        ("1", "2"),
        ("mon", "2"),
        ("Saturday", "7"),
        ("5-7", "1,6,7"),
        ("5-7/2", "1,6"),
        ("1-5/2", "2,4,6"),
        ("fri-sun", "1,6,7"),
        ("5-0", "1,6,7"),
        ("sun-tue", "1,2,3"),
        ("sun-sun", "1"),
        ("mon,3,FRI-6", "2,4,6,7"),
        ("0-7", "1,2,3,4,5,6,7"),
        ("*", "1,2,3,4,5,6,7"),
        ("*/2", "1,3,5,7"),
        ("1/2", "2,4,6"),
        ("7/2", "1"),
    ] {
        assert_eq!(WEEKDAY.parse(text).expect(text).weekday_list(), expected, "{text}");
    }
}

#[test]
fn weekday_one_is_monday() {
    let monday = at("2024-01-01T00:00:00Z");
    let before = at("2023-12-29T00:00:00Z");
    assert_eq!(expression("0 0 * * 1", Tz::UTC).next_after(before), Some(monday));
}

#[test]
fn both_day_fields_restricted_match_either() {
    let days = firings("0 0 13 * 5", Tz::UTC, "2024-05-01T00:00:00Z", "2024-06-01T00:00:00Z");
    let expected = ["03", "10", "13", "17", "24", "31"].map(|day| format!("{day} 00:00:00+00:00"));
    assert_eq!(days, expected);
}

#[test]
fn a_day_field_beginning_with_a_star_has_to_match_too() {
    let days = firings("0 0 */10 * 6", Tz::UTC, "2024-05-01T00:00:00Z", "2024-09-01T00:00:00Z");
    assert_eq!(days, ["11 00:00:00+00:00", "01 00:00:00+00:00", "31 00:00:00+00:00"].to_vec());
}

#[test]
fn nicknames() {
    let from = at("2024-05-15T12:30:00Z");
    for (text, expected) in [
        ("@yearly", "2025-01-01T00:00:00Z"),
        ("@annually", "2025-01-01T00:00:00Z"),
        ("@monthly", "2024-06-01T00:00:00Z"),
        ("@weekly", "2024-05-19T00:00:00Z"),
        ("@daily", "2024-05-16T00:00:00Z"),
        ("@Midnight", "2024-05-16T00:00:00Z"),
        ("@hourly", "2024-05-15T13:00:00Z"),
    ] {
        assert_eq!(expression(text, Tz::UTC).next_after(from), Some(at(expected)), "{text}");
    }
}

#[test]
fn a_skipped_local_time_fires_right_after_the_gap() {
    let day = ("2024-03-30T23:00:00Z", "2024-03-31T22:00:00Z");
    for text in ["30 2 * * *", "* 2 * * *", "0 2,3 * * *", "*/20 2,2-2 * * *"] {
        let found = firings(text, Tz::Europe__Berlin, day.0, day.1);
        assert_eq!(found, ["31 03:00:00+02:00"], "{text}");
    }
    let both = firings("30 2,3 * * *", Tz::Europe__Berlin, day.0, day.1);
    assert_eq!(both, ["31 03:00:00+02:00", "31 03:30:00+02:00"]);
}

#[test]
fn a_repeated_local_time_fires_the_first_time_only() {
    let day = ("2024-10-26T22:00:00Z", "2024-10-27T23:00:00Z");
    let once = firings("30 2 * * *", Tz::Europe__Berlin, day.0, day.1);
    assert_eq!(once, ["27 02:30:00+02:00"]);
    let every_half_hour = firings("*/30 2,3 * * *", Tz::Europe__Berlin, day.0, day.1);
    assert_eq!(
        every_half_hour,
        ["27 02:00:00+02:00", "27 02:30:00+02:00", "27 03:00:00+01:00", "27 03:30:00+01:00"]
    );
}

#[test]
fn an_instant_in_the_second_pass_does_not_fire_again() {
    let second_pass = at("2024-10-27T01:15:00Z");
    let next = expression("30 2 * * *", Tz::Europe__Berlin).next_after(second_pass);
    assert_eq!(next, Some(at("2024-10-28T01:30:00Z")));
}

#[test]
fn any_hour_goes_on_through_a_repeated_hour() {
    let night = ("2024-10-26T23:00:00Z", "2024-10-27T02:30:00Z");
    let expected = [
        "27 01:30:00+02:00",
        "27 02:00:00+02:00",
        "27 02:30:00+02:00",
        "27 02:00:00+01:00",
        "27 02:30:00+01:00",
        "27 03:00:00+01:00",
    ];
    assert_eq!(firings("*/30 * * * *", Tz::Europe__Berlin, night.0, night.1), expected);
    let every_second_hour = firings("0 */2 * * *", Tz::Europe__Berlin, night.0, night.1);
    assert_eq!(every_second_hour, ["27 02:00:00+02:00", "27 02:00:00+01:00"]);
}

#[test]
fn any_hour_does_not_make_up_for_a_gap() {
    let night = ("2024-03-31T00:00:00Z", "2024-03-31T02:00:00Z");
    let found = firings("30 * * * *", Tz::Europe__Berlin, night.0, night.1);
    assert_eq!(found, ["31 01:30:00+01:00", "31 03:30:00+02:00"]);
}

#[test]
fn half_an_hour_of_daylight_saving() {
    let back = ("2024-04-06T14:00:00Z", "2024-04-06T16:00:00Z");
    let twice = firings("45 * * * *", Tz::Australia__Lord_Howe, back.0, back.1);
    assert_eq!(twice, ["07 01:45:00+11:00", "07 01:45:00+10:30"]);
    let once = firings("45 1 * * *", Tz::Australia__Lord_Howe, back.0, back.1);
    assert_eq!(once, ["07 01:45:00+11:00"]);
    let forward = ("2024-10-05T15:00:00Z", "2024-10-05T17:00:00Z");
    let late = firings("15 2 * * *", Tz::Australia__Lord_Howe, forward.0, forward.1);
    assert_eq!(late, ["06 02:30:00+11:00"]);
}

#[test]
fn a_whole_day_that_is_skipped_fires_once_after_it() {
    let found = firings(
        "0 8-18 30 12 *",
        Tz::Pacific__Apia,
        "2011-12-01T00:00:00Z",
        "2012-01-31T00:00:00Z",
    );
    assert_eq!(found, ["31 00:00:00+14:00"]);
}

#[test]
fn strictly_later_also_within_a_second() {
    let every_second = expression("* * * * * *", Tz::UTC);
    let next = |from: &str| every_second.next_after(at(from));
    assert_eq!(next("2024-01-01T00:00:00Z"), Some(at("2024-01-01T00:00:01Z")));
    assert_eq!(next("2024-01-01T00:00:00.5Z"), Some(at("2024-01-01T00:00:01Z")));
    assert_eq!(next("2023-12-31T23:59:59.999Z"), Some(at("2024-01-01T00:00:00Z")));
}

#[test]
fn the_ends_of_the_calendar() {
    for text in ["* * * * *", "0 5 * * *"] {
        let every = expression(text, Tz::America__New_York);
        assert_eq!(every.next_after(DateTime::<Utc>::MAX_UTC), None);
        assert!(every.next_after(DateTime::<Utc>::MIN_UTC).is_some());
        assert_eq!(every.next_after(at("2101-01-02T00:00:00Z")), None);
    }
    let past = expression("0 0 0 1 1 * 1999", Tz::UTC);
    assert_eq!(past.next_after(at("2024-01-01T00:00:00Z")), None);
    assert_eq!(past.upcoming(at("1990-01-01T00:00:00Z"), 5).len(), 1);
}

#[test]
fn leap_days_are_found() {
    let next = expression("0 0 29 2 *", Tz::UTC).next_after(at("2096-03-01T00:00:00Z"));
    assert_eq!(next, None, "2100 is not a leap year");
    let next = expression("0 0 29 2 *", Tz::UTC).next_after(at("2024-03-01T00:00:00Z"));
    assert_eq!(next, Some(at("2028-02-29T00:00:00Z")));
}

#[test]
fn display_gives_text_and_zone() {
    let shown = expression(" 30 2 * * mon ", Tz::Europe__Berlin).to_string();
    assert_eq!(shown, "30 2 * * mon (Europe/Berlin)");
    let daily = expression("@daily", Tz::UTC);
    assert_eq!((daily.to_string().as_str(), daily.text()), ("@daily (UTC)", "@daily"));
    assert_eq!(daily.zone(), Tz::UTC);
}

#[test]
fn errors_about_the_whole_expression() {
    let fields = "an expression has 5 fields (minute hour day month weekday), found";
    let more = "6 fields start with the second, and 7 also end with the year";
    assert_eq!(error("1 2 3"), format!("{fields} 3; {more}"));
    assert_eq!(error(""), format!("{fields} 0; {more}"));
    assert_eq!(error("* * * * * * * *"), format!("{fields} 8; {more}"));
    assert_eq!(
        error("@reboot"),
        "`@reboot` is not a known nickname: use @yearly, @annually, @monthly, @weekly, @daily, \
         @midnight or @hourly"
    );
    assert_eq!(
        error("0 0 30 2 *"),
        "`0 0 30 2 *` never fires: no date matches its day, month, weekday and year together"
    );
    assert_eq!(
        error("0 0 31 4,6 *"),
        "`0 0 31 4,6 *` never fires: no date matches its day, month, weekday and year together"
    );
    assert!(Expression::parse("0 0 30 2 1", Tz::UTC).is_ok(), "mondays in february");
}

#[test]
fn values_out_of_range() {
    for (text, expected) in [
        ("0 0 * * 8", "weekday `8` is out of range: use 0-7 or names (0 and 7 are Sunday)"),
        ("1,60 * * * *", "minute `60` is out of range: use 0-59"),
        ("60 0 0 * * *", "second `60` is out of range: use 0-59"),
        ("0 24 * * *", "hour `24` is out of range: use 0-23"),
        ("0 0 0 * *", "day `0` is out of range: use 1-31"),
        ("0 0 * 1-13 *", "month `13` is out of range: use 1-12 or names (jan to dec)"),
        ("99999999999 0 * * *", "minute `99999999999` is out of range: use 0-59"),
        ("0 0 0 * * * 2101", "year `2101` is out of range: use 1970-2100"),
        ("*/0 * * * *", "minute step `0` is out of range: use 1-59"),
        ("*/90 * * * *", "minute step `90` is out of range: use 1-59"),
        ("*/ * * * *", "minute step `` is out of range: use 1-59"),
        ("* 1-5/x * * *", "hour step `x` is out of range: use 1-23"),
    ] {
        assert_eq!(error(text), expected, "{text}");
    }
}

#[test]
fn backward_ranges() {
    let advice = "runs backwards: put the smaller value first, or write";
    for (text, expected) in [
        ("0 22-2/2 * * *", format!("hour range `22-2` {advice} `22-23,0-2`")),
        ("0 0 * nov-feb *", format!("month range `nov-feb` {advice} `nov-12,1-feb`")),
        ("0 0 * * 6-mon", format!("weekday range `6-mon` {advice} `6-6,0-mon`")),
    ] {
        assert_eq!(error(text), expected, "{text}");
    }
}

#[test]
fn parts_that_are_not_understood() {
    for (text, expected) in [
        ("1,,2 * * * *", "minute `1,,2` is not understood: use 0-59"),
        ("+5 * * * *", "minute `+5` is not understood: use 0-59"),
        ("1,5- * * * *", "minute `5-` is not understood: use 0-59"),
        ("1-2-3 * * * *", "minute `1-2-3` is not understood: use 0-59"),
        ("0 0 L * *", "day `L` is not understood: use 1-31"),
        ("0 0 ? * *", "day `?` is not understood: use 1-31"),
        ("0 0 * mo *", "month `mo` is not understood: use 1-12 or names (jan to dec)"),
        (
            "0 0 * * mon#1",
            "weekday `mon#1` is not understood: use 0-7 or names (0 and 7 are Sunday)",
        ),
    ] {
        assert_eq!(error(text), format!("{expected}, `*`, ranges, steps and lists"), "{text}");
    }
}
