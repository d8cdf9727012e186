//! A file as a stream of blocks: the body of a request or an answer.

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, Take},
};

/// How much of a file is in memory at once.
const BLOCK: usize = 128 << 10;

/// What is left of `file`, told to `sent` block by block.
pub(crate) fn blocks(
    file: Take<File>,
    sent: impl FnMut(usize) + Send + 'static,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    stream::try_unfold((file, sent), |(mut file, mut sent)| async move {
        let mut block = Vec::with_capacity(BLOCK);
        let n = (&mut file)
            .take(BLOCK as u64)
            .read_to_end(&mut block)
            .await?;
        sent(n);
        Ok((n > 0).then(|| (Bytes::from(block), (file, sent))))
    })
}
