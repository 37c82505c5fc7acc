//! `POST /v1/sql`: statements in, the rows of the last one out.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use datafusion::common::ScalarValue;
use futures::{FutureExt, StreamExt, TryStreamExt};
use serde::Deserialize;

use crate::diagnostic::Kind;
use crate::engine::Session;
use crate::error::{Error, Result};
use crate::server::{flow, wire};

use super::format::Format;
use super::{Http, Peer, refusal, status};

/// What the body asks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    /// One or more statements.
    sql: String,
    /// Values for `$1`, `$2`, … of the only statement.
    #[serde(default)]
    parameters: Vec<serde_json::Value>,
    /// What `SET` would be told before.
    #[serde(default)]
    settings: BTreeMap<String, String>,
}

pub(super) async fn run(
    State(http): State<Arc<Http>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let login = match http.log_in(&headers, peer).await {
        Ok(login) => login,
        Err(error) => return refusal(&error, "", StatusCode::UNAUTHORIZED),
    };
    let ask = match ask(&headers, &body) {
        Ok(ask) => ask,
        Err(error) => return refusal(&error, "", StatusCode::BAD_REQUEST),
    };
    let Some(format) = Format::accepted(headers.get(header::ACCEPT)) else {
        let error = Error::new(Kind::Unsupported, "none of the formats that `Accept` names is known");
        let error = error
            .help("application/json, application/x-ndjson, text/csv, application/vnd.apache.arrow.stream");
        return refusal(&error, "", StatusCode::NOT_ACCEPTABLE);
    };
    let session = http.shared.session(&login, "http", peer.0);
    let sql = ask.sql.clone();
    let shared = Arc::clone(&http.shared);
    let answered = shared.work(async move { answer(&http, &session, &ask, format).await }.boxed()).await;
    answered.unwrap_or_else(|error| refusal(&error, &sql, status(error.kind())))
}

/// Only types that a web page cannot send without asking first are taken.
fn ask(headers: &HeaderMap, body: &Bytes) -> Result<Ask> {
    let wrong = |message: String| Error::new(Kind::Usage, message);
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/json" => {
            serde_json::from_slice(body).map_err(|error| wrong(format!("the body is no request: {error}")))
        }
        "application/sql" => {
            let sql = std::str::from_utf8(body).map_err(|_| wrong("the body is not UTF-8".to_owned()))?;
            Ok(Ask { sql: sql.to_owned(), parameters: vec![], settings: BTreeMap::new() })
        }
        _ => Err(wrong("the body is JSON or SQL".to_owned())
            .help("say `Content-Type: application/json`, or `application/sql`")),
    }
}

async fn answer(http: &Http, session: &Session, ask: &Ask, format: Format) -> Result<Response> {
    http.shared.check_sql(&ask.sql)?;
    for (variable, value) in &ask.settings {
        session.set(variable, value)?;
    }
    let statements = session.parse(&ask.sql)?;
    let Some((last, before)) = statements.split_last() else {
        return Err(Error::new(Kind::Usage, "there is no statement"));
    };
    if !before.is_empty() && !ask.parameters.is_empty() {
        return Err(Error::new(Kind::Unsupported, "only a single statement takes parameters"));
    }
    for statement in before {
        let mut rows = session.execute(statement).await?.stream;
        while rows.try_next().await?.is_some() {}
    }
    let planned = session.prepare(last).await?;
    let values = ask.parameters.iter().map(scalar).collect::<Result<Vec<_>>>()?;
    let answer = planned.bind(values).await?.run().await?;
    let id = answer.query.id.to_string();
    let (schema, rows) = flow::rows(answer, http.shared.max_result());
    let sent = wire::schema(&schema);
    let batches = {
        let sent = Arc::clone(&sent);
        rows.map(move |batch| wire::batch(&batch?, &sent))
    };
    // The first batch tells whether there is an error to say so in the head; afterwards the body can only break off.
    let mut batches = Box::pin(batches.peekable());
    if let Some(Err(error)) = batches.as_mut().peek().await {
        return Err(error.clone());
    }
    let body = Body::from_stream(format.encode(&sent, batches)?);
    let mut response = ([(header::CONTENT_TYPE, format.content_type())], body).into_response();
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("coterie-query-id", id);
    }
    Ok(response)
}

/// A value of JSON as one of SQL.
fn scalar(value: &serde_json::Value) -> Result<ScalarValue> {
    use serde_json::Value as V;
    match value {
        V::Null => Ok(ScalarValue::Null),
        V::Bool(value) => Ok(ScalarValue::from(*value)),
        V::String(value) => Ok(ScalarValue::from(value.as_str())),
        V::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => Ok(ScalarValue::from(value)),
            (None, Some(value)) => Ok(ScalarValue::from(value)),
            (None, None) => Err(Error::new(Kind::Type, format!("`{number}` is out of range"))),
        },
        V::Array(_) | V::Object(_) => {
            Err(Error::new(Kind::Type, "a parameter is null, true, false, a number or a string"))
        }
    }
}
