# The compared service in Perl: a process per connection, core modules only.
#
#   perl service.pl PORT REDIS_PORT FOLDER
use strict;
use warnings;
use Fcntl qw(O_CREAT O_DSYNC O_RDWR);
use IO::Socket::INET;
use Socket qw(IPPROTO_TCP TCP_NODELAY);

my ($port, $redis_port, $folder) = @ARGV;
my ($steps, $record_bytes, $records) = (20000, 4096, 64);

sub compute {
    use integer;
    my $value = $_[0] % 65537;
    $value = ($value * 75 + 74) % 65537 for 1 .. $steps;
    return $value;
}

sub get {
    my ($redis, $key) = @_;
    syswrite $redis, sprintf("*2\r\n\$3\r\nGET\r\n\$%d\r\n%s\r\n", length $key, $key);
    my $reply = "";
    while ((() = $reply =~ /\r\n/g) < 2) {
        sysread $redis, $reply, 65536, length $reply or die "redis closed the connection";
    }
    return (split /\r\n/, $reply)[1];
}

sub serve {
    my ($client) = @_;
    my $redis = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $redis_port)
        or die "redis: $@";
    setsockopt $_, IPPROTO_TCP, TCP_NODELAY, 1 for $client, $redis;
    # A write returns when it is on the disk: Perl itself has no fdatasync.
    sysopen my $file, "$folder/perl-$$", O_RDWR | O_CREAT | O_DSYNC or die "file: $!";
    syswrite $file, "\0" x ($records * $record_bytes);
    my ($saved, $pending) = (0, "");
    while (1) {
        while (index($pending, "\r\n\r\n") < 0) {
            sysread $client, $pending, 65536, length $pending or return;
        }
        (my $head, $pending) = split /\r\n\r\n/, $pending, 2;
        my (undef, $what, $id) = split m{/}, (split / /, $head)[1];
        my $body = "ok";
        if ($what eq "work") {
            my $value = compute($id);
            my $item = get($redis, "item:$id");
            $saved = ($saved + 1) % $records;
            sysseek $file, $saved * $record_bytes, 0;
            syswrite $file, $item . " " x ($record_bytes - length $item);
            $body = "$value $item";
        }
        syswrite $client,
            sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", length $body, $body);
    }
}

$SIG{CHLD} = "IGNORE";
my $listener = IO::Socket::INET->new(
    LocalAddr => "127.0.0.1", LocalPort => $port, Listen => 511, ReuseAddr => 1
) or die "listen: $@";
while (1) {
    my $client = $listener->accept or next;
    my $child = fork;
    if (defined $child && $child == 0) {
        close $listener;
        serve($client);
        exit 0;
    }
    close $client;
}
