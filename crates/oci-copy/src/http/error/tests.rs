use reqwest::header::{DATE, RETRY_AFTER};

use super::*;

#[test]
fn retry_after_is_seconds_or_a_date() {
    const DAY: &str = "Wed, 21 Oct 2015 07:28:";
    let wait = |after: &str, date: Option<&str>| {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, after.parse().unwrap());
        headers.extend(date.map(|date| (DATE, date.parse().unwrap())));
        retry_after(&headers)
    };
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let now = format!("{DAY}00 GMT");
    assert_eq!(wait("7", None), seconds(7));
    assert_eq!(wait(" 7 ", None), seconds(7));
    assert_eq!(wait("0.5", None), Some(Duration::from_millis(500)));
    assert_eq!(wait(&format!("{DAY}30 GMT"), Some(&now)), seconds(30));
    // In the past.
    assert_eq!(wait(&format!("{DAY}30 GMT"), None), seconds(0));
    assert_eq!(wait(&now, Some(&now)), seconds(0));
    for wrong in ["-1", "soon", "", "1e400", "NaN"] {
        assert_eq!(wait(wrong, None), None, "{wrong}");
    }
}
