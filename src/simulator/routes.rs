//! Routes: from a request to its correct reply.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::header::{AUTHORIZATION, DATE, LOCATION, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::map_response_with_state;
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use chrono::Duration;
use serde_json::{Value, json};

use super::clock::http_date;
use super::dispatch::{DispatchRequest, Dispatched};
use super::documents::{detail, evaluation, servers, tool_calls, trace, workflows};
use super::faults::{Answer, Asked, Endpoint};
use super::faulty::{Decision, Disturbance};
use super::listing::{BadParameter, Lister, RunQuery, Served};
use super::overlay::Overlay;
use super::shape::Shape;
use super::state::{InFlight, RequestRecord, Shared};
use super::transmission::{Reply, transmit};

/// Documented: the path of the API below the dashboard's address.
pub(super) const BASE_PATH: &str = "/api/armature/v1";

/// The router of the API.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    let api = Router::new()
        .route("/org", route(Endpoint::Organization))
        .route("/runs", route(Endpoint::Runs))
        .route("/runs/{id}", run_route(Endpoint::Run))
        .route("/runs/{id}/trace", run_route(Endpoint::Trace))
        .route("/runs/{id}/evaluation", run_route(Endpoint::Evaluation))
        .route("/runs/{id}/tool-calls", run_route(Endpoint::ToolCalls))
        .route("/workflows", route(Endpoint::Workflows))
        .route("/workflows/{id}/runs", post(dispatch))
        .route("/mcp-servers", route(Endpoint::McpServers))
        .route("/openapi", route(Endpoint::OpenApi));
    Router::new()
        .nest(BASE_PATH, api)
        .fallback(unknown)
        .layer(map_response_with_state(Arc::clone(&shared), put_date))
        .with_state(shared)
}

fn route(endpoint: Endpoint) -> MethodRouter<Arc<Shared>> {
    get(move |State(shared): State<Arc<Shared>>, request: Request| async move {
        serve(&shared, endpoint, None, &request.into_parts().0).await
    })
}

fn run_route(endpoint: Endpoint) -> MethodRouter<Arc<Shared>> {
    let handler = move |State(shared): State<Arc<Shared>>,
                        Path(id): Path<String>,
                        request: Request| async move {
        serve(&shared, endpoint, Some(id), &request.into_parts().0).await
    };
    get(handler)
}

/// Maximum size of the body of a dispatch, in bytes.
const MOST_BODY: usize = 64 * 1024;

/// Dispatches runs, unless a fault comes instead.
async fn dispatch(
    State(shared): State<Arc<Shared>>,
    Path(workflow): Path<String>,
    request: Request,
) -> Response {
    let _in_flight = InFlight::begin(&shared.traffic);
    let (request, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MOST_BODY).await.unwrap_or_default();
    let record = RequestRecord {
        body: String::from_utf8_lossy(&body).into_owned(),
        ..RequestRecord::of(&request, header(&request, &USER_AGENT))
    };
    shared.stopping.clone().sleep(shared.latency).await;
    let asked = Asked { endpoint: Endpoint::Dispatch, run_id: None, page: None };
    let ruled = shared.rules.lock().unwrap_or_else(PoisonError::into_inner).decide(&asked);
    let Decision { answer, is_revoked, .. } = shared.decide(&asked);
    let answer = ruled.or(answer);
    let key = header(&request, &AUTHORIZATION).filter(|_| !is_revoked);
    let (reply, location) = if answer.as_ref().is_some_and(Answer::replaces) {
        (Reply::json(StatusCode::OK, &Value::Null), None)
    } else {
        dispatch_reply(&shared, key, &workflow, &body)
    };
    let mut transmission = transmit(reply, answer, &shared.stopping);
    if let Some(location) = location.and_then(|path| HeaderValue::try_from(path).ok()) {
        transmission.response.headers_mut().entry(LOCATION).or_insert(location);
    }
    shared.record(RequestRecord { status: transmission.response.status().as_u16(), ..record });
    shared.stopping.clone().sleep(transmission.silence).await;
    transmission.response
}

/// The reply to a dispatch, and the path of its `Location` header.
fn dispatch_reply(
    shared: &Shared,
    authorization: Option<&str>,
    workflow: &str,
    body: &[u8],
) -> (Reply, Option<String>) {
    let refuse = |status, code, message| (error(status, code, message), None);
    if !shared.accepts(authorization) {
        let message = "The API key is missing, malformed or revoked.";
        return refuse(StatusCode::UNAUTHORIZED, "unauthenticated", message);
    }
    if shared.role == "viewer" {
        let message = "This key's role may not dispatch runs.";
        return refuse(StatusCode::FORBIDDEN, "forbidden_role", message);
    }
    let world = &shared.world;
    let found = world.workflows().enumerate().find(|(_, (id, ..))| id.to_string() == workflow);
    let Some((position, (id, ..))) = found else {
        return refuse(StatusCode::NOT_FOUND, "not_found", "There is no such workflow.");
    };
    let Ok(request) = serde_json::from_slice::<DispatchRequest>(body) else {
        return refuse(StatusCode::BAD_REQUEST, "validation_failed", "The body is not valid.");
    };
    let how = shared.dispatching.read().unwrap_or_else(PoisonError::into_inner);
    let mut dispatched = shared.dispatched.write().unwrap_or_else(PoisonError::into_inner);
    let (seed, now) = (world.settings().seed, shared.clock.now().timestamp_millis());
    let plan = |order: &_| world.dispatched(order);
    let runs = dispatched.answer(&how, (position, id), seed, &request, now, plan);
    let (status, body, location) = how.response.reply(&runs);
    let location = location.map(|id| format!("{BASE_PATH}/runs/{id}"));
    let reply = match body {
        Some(body) => Reply::json(status, &body),
        None => Reply { status, body: bytes::Bytes::new(), link: None },
    };
    (reply, location)
}

async fn unknown(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    serve(&shared, Endpoint::Any, None, &request.into_parts().0).await
}

/// Sets `Date` to the simulated time on every response; hyper adds its own only if there is none.
async fn put_date(State(shared): State<Arc<Shared>>, mut response: Response) -> Response {
    if let Ok(date) = HeaderValue::try_from(http_date(shared.clock.now())) {
        response.headers_mut().entry(DATE).or_insert(date);
    }
    response
}

async fn serve(
    shared: &Shared,
    endpoint: Endpoint,
    run_id: Option<String>,
    request: &Parts,
) -> Response {
    let _in_flight = InFlight::begin(&shared.traffic);
    let record = RequestRecord::of(request, header(request, &USER_AGENT));
    shared.stopping.clone().sleep(shared.latency).await;
    let shape = *shared.shape.read().unwrap_or_else(PoisonError::into_inner);
    let parameters = Query::try_from_uri(&request.uri).map(|Query(all)| all).unwrap_or_default();
    let asked = Asked {
        endpoint,
        run_id: run_id.as_deref(),
        page: asked_page(endpoint, &parameters, &shape),
    };
    let ruled = shared.rules.lock().unwrap_or_else(PoisonError::into_inner).decide(&asked);
    let Decision { answer, is_revoked, list, skew_seconds } = shared.decide(&asked);
    let key = header(request, &AUTHORIZATION).filter(|_| !is_revoked);
    let address = request.uri.path_and_query().map_or("", |address| address.as_str());
    let address = format!("{BASE_PATH}{address}");
    let reply = right_reply(shared, &asked, &parameters, &shape, key, list, &address);
    let mut transmission = transmit(reply, ruled.or(answer), &shared.stopping);
    if skew_seconds != Some(0) {
        let date = shared.skewed_date(skew_seconds);
        transmission.response.headers_mut().insert(DATE, date);
    }
    shared.record(RequestRecord { status: transmission.response.status().as_u16(), ..record });
    shared.stopping.clone().sleep(transmission.silence).await;
    transmission.response
}

fn header<'a>(request: &'a Parts, name: &HeaderName) -> Option<&'a str> {
    request.headers.get(name).and_then(|value| value.to_str().ok())
}

fn asked_page(
    endpoint: Endpoint,
    parameters: &HashMap<String, String>,
    shape: &Shape,
) -> Option<u32> {
    match parameters.get("page") {
        None => (endpoint == Endpoint::Runs).then_some(shape.page_base),
        Some(text) => text.parse().ok(),
    }
}

fn right_reply(
    shared: &Shared,
    asked: &Asked<'_>,
    parameters: &HashMap<String, String>,
    shape: &Shape,
    authorization: Option<&str>,
    disturbance: Option<Disturbance>,
    address: &str,
) -> Reply {
    if asked.endpoint == Endpoint::OpenApi {
        return Reply::json(StatusCode::OK, &open_api());
    }
    if !shared.accepts(authorization) {
        let message = "The API key is missing, malformed or revoked.";
        return error(StatusCode::UNAUTHORIZED, "unauthenticated", message);
    }
    let overlay = shared.overlay.read().unwrap_or_else(PoisonError::into_inner);
    let dispatched = shared.dispatched.read().unwrap_or_else(PoisonError::into_inner);
    let body = match asked.endpoint {
        Endpoint::Organization => Some(organization(shared)),
        Endpoint::Workflows => Some(shape.list("workflows", workflows(&shared.world))),
        Endpoint::McpServers => Some(json!({"rows": servers(&shared.world)})),
        Endpoint::Runs => match RunQuery::parse(parameters, shape) {
            Ok(query) => {
                let own = (&*overlay, &*dispatched);
                return run_list(shared, own, shape, &query, disturbance, address);
            }
            Err(bad) => return validation_failed(&bad),
        },
        endpoint => {
            let id = asked.run_id;
            let own = (&*overlay, &*dispatched);
            let whole = id.and_then(|id| run_document(shared, own, shape, endpoint, id));
            match whole {
                Some(whole) if matches!(endpoint, Endpoint::Trace | Endpoint::ToolCalls) => {
                    return document_page(shape, whole, parameters, address);
                }
                whole => whole,
            }
        }
    };
    body.map_or_else(
        || error(StatusCode::NOT_FOUND, "not_found", "There is no such thing here."),
        |body| Reply::json(StatusCode::OK, &body),
    )
}

fn run_list(
    shared: &Shared,
    (overlay, dispatched): (&Overlay, &Dispatched),
    shape: &Shape,
    query: &RunQuery,
    disturbance: Option<Disturbance>,
    address: &str,
) -> Reply {
    let mut faulty = shared.faulty.lock().unwrap_or_else(PoisonError::into_inner);
    let step = disturbance.as_ref().map_or(0, |disturbance| disturbance.clock_step);
    if step > 0 {
        shared.clock.advance(Duration::seconds(i64::from(step)));
    }
    let now = shared.clock.now().timestamp_millis();
    let lister = Lister { world: &shared.world, overlay, dispatched, shape, now, address };
    let served = match (disturbance, faulty.as_mut()) {
        (Some(disturbance), Some(faulty)) => lister.disturbed_page(query, disturbance, faulty),
        _ => lister.page(query),
    };
    match served {
        Served::Page { body, link } => Reply { link, ..Reply::json(StatusCode::OK, &body) },
        Served::BadRequest => {
            error(StatusCode::BAD_REQUEST, "validation_failed", "The page is out of range.")
        }
        Served::NotFound => error(StatusCode::NOT_FOUND, "not_found", "There is no such page."),
    }
}

/// One page of a document that is paged.
fn document_page(
    shape: &Shape,
    whole: Value,
    parameters: &HashMap<String, String>,
    address: &str,
) -> Reply {
    let (body, cut) = shape.paging.document_page(whole, parameters, shape.page_base, address);
    let link = cut.and_then(|cut| shape.paging.link(cut, address));
    Reply { link, ..Reply::json(StatusCode::OK, &body) }
}

fn run_document(
    shared: &Shared,
    (overlay, dispatched): (&Overlay, &Dispatched),
    shape: &Shape,
    endpoint: Endpoint,
    id: &str,
) -> Option<Value> {
    let now = shared.clock.now().timestamp_millis();
    if let Some(run) = overlay.find(id, now) {
        return run.documents.get(&endpoint).cloned().flatten();
    }
    let ordered = dispatched.find(id, now);
    let plan = match ordered {
        Some((plan, _)) => *plan,
        None => shared.world.find(id, now).filter(|_| overlay.shows(id))?,
    };
    let key = ordered.and_then(|(_, key)| key.clone());
    let dialect = shape.documents;
    match endpoint {
        Endpoint::Run => Some(shape.single("run", with_key(dialect.run(detail(&plan, now)), key))),
        Endpoint::Trace => Some(shape.single("trace", dialect.trace(trace(&plan, now)))),
        Endpoint::Evaluation => {
            let found = evaluation(&plan, now).map(|found| dialect.evaluation(found));
            found.map(|found| shape.single("evaluation", found))
        }
        Endpoint::ToolCalls => {
            Some(shape.list("tool_calls", dialect.tool_calls(tool_calls(&plan, now))))
        }
        _ => None,
    }
}

/// A run's detail with the idempotency key that it was dispatched with, if it shows one.
fn with_key(mut detail: Value, key: Option<String>) -> Value {
    if let (Some(members), Some(key)) = (detail.as_object_mut(), key) {
        members.insert("idempotency_key".to_owned(), key.into());
    }
    detail
}

/// The body of `/org` (documented with a sample, including keys).
fn organization(shared: &Shared) -> Value {
    let settings = shared.world.settings();
    json!({
        "organization": {
            "id": settings.organization_id,
            "slug": settings.organization_slug,
            "name": settings.organization_name,
        },
        "actor": {
            "apiKeyId": "key_simulated",
            "apiKeyName": "simulator",
            "userProfileId": null,
            "role": shared.role,
            "email": null,
        },
    })
}

/// Documented: errors are objects with `error.code` and `error.message`.
fn error(status: StatusCode, code: &str, message: &str) -> Reply {
    Reply::json(status, &json!({"error": {"code": code, "message": message}}))
}

fn validation_failed(bad: &BadParameter) -> Reply {
    let fields = json!([{"field": bad.name, "message": bad.message}]);
    let body = json!({"error": {
        "code": "validation_failed",
        "message": bad.message,
        "details": {"fieldErrors": fields, "warnings": []},
    }});
    Reply::json(StatusCode::BAD_REQUEST, &body)
}

/// Documented: `OpenAPI` 3.0, readable without a key.
fn open_api() -> Value {
    let operations = [
        ("/org", "The organization and the key's role"),
        ("/runs", "Search runs"),
        ("/runs/{id}", "Get a single run"),
        ("/runs/{id}/trace", "Get the run trace"),
        ("/runs/{id}/evaluation", "Get the run evaluation"),
        ("/runs/{id}/tool-calls", "List run tool calls"),
        ("/workflows", "List workflows"),
        ("/mcp-servers", "List MCP servers"),
        ("/openapi", "This document"),
    ];
    let paths: serde_json::Map<String, Value> = operations
        .into_iter()
        .map(|(path, summary)| {
            let operation =
                json!({"summary": summary, "responses": {"200": {"description": "OK"}}});
            (path.to_owned(), json!({"get": operation}))
        })
        .collect();
    let mut paths = paths;
    paths.insert(
        "/workflows/{id}/runs".to_owned(),
        json!({"post": {
            "summary": "Dispatch runs",
            "responses": {"202": {"description": "Accepted"}},
        }}),
    );
    json!({
        "openapi": "3.0.3",
        "info": {"title": "Armature REST API (simulated)", "version": "1"},
        "servers": [{"url": BASE_PATH}],
        "components": {"securitySchemes": {"bearerAuth": {"type": "http", "scheme": "bearer"}}},
        "security": [{"bearerAuth": []}],
        "paths": paths,
    })
}
