//! The handle's side of a task that owns its state: a request goes in, its answer comes back.

use tokio::sync::{mpsc, oneshot};

/// Sends the request that `request` makes of where its answer goes, and waits for that answer. `None`: the task has
/// ended.
pub async fn ask<R, T>(
    requests: &mpsc::Sender<R>,
    request: impl FnOnce(oneshot::Sender<T>) -> R,
) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    requests.send(request(reply)).await.ok()?;
    answer.await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_comes_back_and_a_task_that_has_ended_gives_none() {
        let (requests, mut queue) = mpsc::channel::<(u8, oneshot::Sender<u8>)>(1);
        let task = tokio::spawn(async move {
            let (number, reply) = queue.recv().await.unwrap();
            reply.send(number + 1).unwrap();
            // The second one is taken and never answered.
            queue.recv().await.unwrap();
        });
        assert_eq!(ask(&requests, |reply| (1, reply)).await, Some(2));
        assert_eq!(ask(&requests, |reply| (1, reply)).await, None);
        task.await.unwrap();
        assert_eq!(ask(&requests, |reply| (1, reply)).await, None);
    }
}
