//! A network of a few fixed answers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use async_trait::async_trait;

use super::flow_store::effect;
use super::held;
use crate::ports::{HttpClient, HttpRequest, HttpResponse};
use crate::{Error, Kind, Result};

type Answers = VecDeque<Result<HttpResponse>>;

/// Answers by method and URL; a URL without an answer is on a host that is not allowed. Several answers to one URL
/// are given one after another, the last one from then on.
#[derive(Default)]
pub struct CannedHttp {
    answers: Mutex<BTreeMap<(String, String), Answers>>,
    requests: Mutex<Vec<HttpRequest>>,
}

impl CannedHttp {
    pub fn answer(
        &self,
        method: &str,
        url: &str,
        status: u16,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.push(method, url, Ok(HttpResponse { status, headers, body: body.into() }));
    }

    pub fn fail(&self, method: &str, url: &str, error: Error) {
        self.push(method, url, Err(error));
    }

    /// What was asked so far.
    pub fn requests(&self) -> Vec<HttpRequest> {
        held(&self.requests).clone()
    }

    fn push(&self, method: &str, url: &str, answer: Result<HttpResponse>) {
        held(&self.answers).entry((method.to_owned(), url.to_owned())).or_default().push_back(answer);
    }
}

#[async_trait]
impl HttpClient for CannedHttp {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse> {
        effect().await;
        let key = (request.method.clone(), request.url.clone());
        let max_bytes = request.max_bytes;
        held(&self.requests).push(request);
        let mut answers = held(&self.answers);
        let Some(queue) = answers.get_mut(&key) else {
            return Err(Error::forbidden("http.host_forbidden", "This server may not be called."));
        };
        let next = if queue.len() > 1 { queue.pop_front() } else { queue.front().cloned() };
        match next.expect("a queue is made with its first answer and keeps its last") {
            Ok(response) if response.body.len() > max_bytes => Err(Error::new(
                Kind::TooLarge,
                "http.answer_too_large",
                format!("The server's answer is longer than {max_bytes} bytes."),
            )),
            answer => answer,
        }
    }
}
