//! How a method is tied to its parameters and its reply, once, for server and client alike.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The parameters of one method. The type says which method it is and what comes back, so a client cannot mix them up.
pub trait Call: Serialize {
    /// The name of the method on the wire.
    const METHOD: &'static str;
    /// What the method replies.
    type Reply: DeserializeOwned;
}

/// Declares the methods of one executable: the trait that its server implements, the [`Call`] of each parameter type
/// and the dispatch from a name and JSON parameters to the trait.
///
/// The common methods `hello`, `subscribe` and `shutdown` are answered by the server itself
/// ([`rpc::connection`](crate::rpc::connection)); `status` differs from one executable to the next and is declared with the rest.
macro_rules! methods {
    (
        $(#[$trait_doc:meta])*
        $executable:literal emits $event:ty {
            $( $(#[$doc:meta])* $function:ident($params:ident) -> $reply:ty; )+
        }
    ) => {
        $(#[$trait_doc])*
        pub trait Methods: Send + Sync + 'static {
            $(
                $(#[$doc])*
                fn $function(
                    &self,
                    params: $params,
                ) -> impl Future<Output = Result<$reply, $crate::protocol::error::RpcError>> + Send;
            )+
        }

        $(
            impl $crate::protocol::method::Call for $params {
                const METHOD: &'static str = stringify!($function);
                type Reply = $reply;
            }
        )+

        /// The executable's name.
        pub const NAME: &str = $executable;

        /// Makes an implementation of [`Methods`] a [`Service`](crate::rpc::service::Service).
        #[derive(Debug)]
        pub struct Served<M>(pub M);

        impl<M: Methods> $crate::rpc::service::Service for Served<M> {
            type Event = $event;
            const NAME: &'static str = NAME;
            const METHODS: &'static [&'static str] = &[$(stringify!($function)),+];

            async fn call(
                &self,
                method: &str,
                params: serde_json::Value,
            ) -> Result<serde_json::Value, $crate::protocol::error::RpcError> {
                match method {
                    $(
                        stringify!($function) => {
                            let params = $crate::rpc::service::params(method, params)?;
                            let reply = self.0.$function(params).await?;
                            $crate::rpc::service::reply(&reply)
                        }
                    )+
                    unknown => Err($crate::protocol::error::RpcError::unknown_method(
                        unknown,
                        <Self as $crate::rpc::service::Service>::NAME,
                    )),
                }
            }
        }
    };
}
