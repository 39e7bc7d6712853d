-- names   Numbers of the kernel's interface by name.
--
-- Needs: nothing

CREATE OR REPLACE VIEW io_uring_op AS
-- One row per operation: the kernel's enum io_uring_op (6.18), in its order.
WITH listed AS (
  SELECT list_filter(string_split_regex('
    NOP READV WRITEV FSYNC READ_FIXED WRITE_FIXED POLL_ADD POLL_REMOVE
    SYNC_FILE_RANGE SENDMSG RECVMSG TIMEOUT TIMEOUT_REMOVE ACCEPT
    ASYNC_CANCEL LINK_TIMEOUT CONNECT FALLOCATE OPENAT CLOSE FILES_UPDATE
    STATX READ WRITE FADVISE MADVISE SEND RECV OPENAT2 EPOLL_CTL SPLICE
    PROVIDE_BUFFERS REMOVE_BUFFERS TEE SHUTDOWN RENAMEAT UNLINKAT MKDIRAT
    SYMLINKAT LINKAT MSG_RING FSETXATTR SETXATTR FGETXATTR GETXATTR SOCKET
    URING_CMD SEND_ZC SENDMSG_ZC READ_MULTISHOT WAITID FUTEX_WAIT FUTEX_WAKE
    FUTEX_WAITV FIXED_FD_INSTALL FTRUNCATE BIND LISTEN RECV_ZC EPOLL_WAIT
    READV_FIXED WRITEV_FIXED PIPE
'     , '\s+'), lambda word: word <> '') AS names
)
SELECT
  (place - 1)::SMALLINT AS opcode,
  lower(names[place]) AS name
FROM listed, unnest(range(1, len(names) + 1)) AS places(place);

COMMENT ON VIEW io_uring_op IS 'one row per operation of io_uring that has a name';
COMMENT ON COLUMN io_uring_op.opcode IS 'its number';
COMMENT ON COLUMN io_uring_op.name IS 'its name without IORING_OP_, in lower case';
