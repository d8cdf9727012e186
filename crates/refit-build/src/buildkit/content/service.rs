//! The content service on the wire: which path is which method.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use refit_registry::contents::Contents;
use tonic::{
    Code, Request, Response, Status, Streaming,
    body::Body,
    codegen::http,
    metadata::GRPC_CONTENT_TYPE,
    server::{Grpc, NamedService, ServerStreamingService, StreamingService, UnaryService},
};
use tonic_prost::ProstCodec;

use super::{
    messages::{
        AbortRequest, Empty, InfoRequest, InfoResponse, ReadContentRequest, ReadContentResponse,
        StatusRequest, StatusResponse, WriteContentRequest, WriteContentResponse,
    },
    methods::{self, Answers},
};

/// Bytes in one message at most: what containerd's clients may send.
const MESSAGE: usize = 16 << 20;

/// containerd's content service over the stores of one build.
#[derive(Clone)]
pub(in super::super) struct ContentServer(Arc<Contents>);

impl ContentServer {
    pub(in super::super) fn new(contents: Arc<Contents>) -> Self {
        Self(contents)
    }
}

impl NamedService for ContentServer {
    const NAME: &'static str = "containerd.services.content.v1.Content";
}

type Answer<T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send>>;

/// One method of the service.
struct Method(Arc<Contents>);

/// Its methods differ in their messages alone.
macro_rules! unary {
    ($request:ty, $response:ty, $call:path) => {
        impl UnaryService<$request> for Method {
            type Response = $response;
            type Future = Answer<$response>;

            fn call(&mut self, request: Request<$request>) -> Self::Future {
                let contents = Arc::clone(&self.0);
                Box::pin(async move { $call(&contents, request).await.map(Response::new) })
            }
        }
    };
}

unary!(InfoRequest, InfoResponse, methods::info);
unary!(StatusRequest, StatusResponse, methods::status);
unary!(AbortRequest, Empty, methods::abort);

impl ServerStreamingService<ReadContentRequest> for Method {
    type Response = ReadContentResponse;
    type ResponseStream = Answers<ReadContentResponse>;
    type Future = Answer<Self::ResponseStream>;

    fn call(&mut self, request: Request<ReadContentRequest>) -> Self::Future {
        let contents = Arc::clone(&self.0);
        Box::pin(async move { methods::read(&contents, request).await.map(Response::new) })
    }
}

impl StreamingService<WriteContentRequest> for Method {
    type Response = WriteContentResponse;
    type ResponseStream = Answers<WriteContentResponse>;
    type Future = Answer<Self::ResponseStream>;

    fn call(&mut self, request: Request<Streaming<WriteContentRequest>>) -> Self::Future {
        let contents = Arc::clone(&self.0);
        Box::pin(async move { methods::write(&contents, request).map(Response::new) })
    }
}

fn grpc<T, U>() -> Grpc<ProstCodec<T, U>>
where
    T: prost::Message + Send + 'static,
    U: prost::Message + Default + Send + 'static,
{
    Grpc::new(ProstCodec::default()).max_decoding_message_size(MESSAGE)
}

impl tower::Service<http::Request<Body>> for ContentServer {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = Method(Arc::clone(&self.0));
        Box::pin(async move {
            let name = request.uri().path().rsplit('/').next().unwrap_or_default();
            Ok(match name {
                "Info" => {
                    let mut grpc = grpc::<InfoResponse, InfoRequest>();
                    grpc.unary(method, request).await
                }
                "Read" => {
                    let mut grpc = grpc::<ReadContentResponse, ReadContentRequest>();
                    grpc.server_streaming(method, request).await
                }
                "Write" => {
                    let mut grpc = grpc::<WriteContentResponse, WriteContentRequest>();
                    grpc.streaming(method, request).await
                }
                "Status" => {
                    let mut grpc = grpc::<StatusResponse, StatusRequest>();
                    grpc.unary(method, request).await
                }
                "Abort" => {
                    let mut grpc = grpc::<Empty, AbortRequest>();
                    grpc.unary(method, request).await
                }
                // Nobody lists, labels or deletes what is in a session.
                _ => unimplemented(),
            })
        })
    }
}

fn unimplemented() -> http::Response<Body> {
    let mut response = http::Response::new(Body::empty());
    let headers = response.headers_mut();
    let code = i32::from(Code::Unimplemented);
    headers.insert(Status::GRPC_STATUS, code.into());
    headers.insert(http::header::CONTENT_TYPE, GRPC_CONTENT_TYPE);
    response
}
