# A small web server: `start` leaves it running in a session of its own, `stop` ends it.
#
# It serves the files of ./site and takes one change: PUT /sign.txt, with the session's key. Its address is ADDRESS, its
# port a free one, written to server/port; its process id is in server/pid. It needs no more than perl-base has.

use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use POSIX qw(WNOHANG setsid);

my %PAGES = (
    '/'              => [ 'site/index.html',    'text/html; charset=utf-8' ],
    '/robots.txt'    => [ 'site/robots.txt',    'text/plain; charset=utf-8' ],
    '/back-room.txt' => [ 'site/back-room.txt', 'text/plain; charset=utf-8' ],
    '/sign.txt'      => [ 'site/sign.txt',      'text/plain; charset=utf-8' ],
);
my %REASONS = (
    200 => 'OK', 400 => 'Bad Request', 403 => 'Forbidden', 404 => 'Not Found', 405 => 'Method Not Allowed',
    411 => 'Length Required', 413 => 'Content Too Large',
);
my $LONGEST_SIGN = 100;
my $LONGEST_HEAD = 8192;
my $PATIENCE_S   = 10;
my $AT_ONCE      = 16;

my $verb = shift // '';
if    ($verb eq 'start') { start() }
elsif ($verb eq 'stop')  { stop() }
else                     { die "start or stop?\n" }

sub content {
    my ($path) = @_;
    open my $file, '<:raw', $path or return;
    local $/;
    return scalar readline $file;
}

# There whole or not at all.
sub put {
    my ($path, $text) = @_;
    open my $file, '>:raw', "$path.new" or die "$path: $!\n";
    print {$file} $text or die "$path: $!\n";
    close $file or die "$path: $!\n";
    rename "$path.new", $path or die "$path: $!\n";
}

sub start {
    stop();
    mkdir 'server';
    my $listener = IO::Socket::INET->new(
        LocalAddr => $ENV{ADDRESS} // '127.0.0.1', LocalPort => 0, Proto => 'tcp', Listen => 16, ReuseAddr => 1,
    ) or die "The server cannot listen: $@\n";
    # Written before the start is over: Terraform reads it next.
    put('server/port', $listener->sockport);
    # Empty until the child's number is known: the child looks for it.
    put('server/pid', '');
    my $child = fork // die "The server cannot be started: $!\n";
    if ($child) {
        # The socket listens already, and the child has it.
        put('server/pid', $child);
        POSIX::_exit(0);
    }
    setsid();
    open STDIN,  '<', '/dev/null';
    open STDOUT, '>', '/dev/null';
    open STDERR, '>', '/dev/null';
    serve($listener);
}

# Until its directory is gone, or another server has taken its place.
sub serve {
    my ($listener) = @_;
    my ($waiting, $running) = (IO::Select->new($listener), 0);
    while (is_noted()) {
        while (waitpid(-1, WNOHANG) > 0) { $running-- }
        next unless $waiting->can_read(1);
        if ($running >= $AT_ONCE) { select undef, undef, undef, 0.05; next }
        my $client = $listener->accept or next;
        my $child = fork;
        if (defined $child && !$child) {
            close $listener;
            # A client that says nothing is not waited for.
            alarm $PATIENCE_S;
            eval { answer($client, request($client)) };
            # What is left unread would take the answer away with it.
            shutdown $client, 1;
            1 while sysread $client, my $rest, 4096;
            POSIX::_exit(0);
        }
        $running++ if $child;
        close $client;
    }
}

sub is_noted {
    my $pid = content('server/pid');
    return defined $pid && ($pid eq '' || $pid == $$);
}

# Status, body, its kind, and whether the body is left out.
sub request {
    my ($client) = @_;
    my $bytes = '';
    until ($bytes =~ /\r?\n\r?\n/) {
        return (400, "That is no request.\n") if length $bytes > $LONGEST_HEAD;
        sysread $client, $bytes, 1024, length $bytes or return (400, "That is no request.\n");
    }
    my ($head, $rest) = split /\r?\n\r?\n/, $bytes, 2;
    my ($first, @lines) = split /\r?\n/, $head;
    my ($method, $path) = $first =~ m{^([A-Z]+) (\S+) HTTP/1\.[01]$} or return (400, "That is no request.\n");
    my %headers = map { /^([^:]+):\s*(.*?)\s*$/ ? (lc $1, $2) : () } @lines;
    return page($path, $method eq 'HEAD') if $method eq 'GET' || $method eq 'HEAD';
    return (405, "Only the sign can be changed.\n") if $method ne 'PUT' || $path ne '/sign.txt';
    if (($headers{'x-key'} // '') ne content('site/.key')) {
        return (403, "The door is locked: the header X-Key must be the key.\n");
    }
    my $length = $headers{'content-length'} // '';
    return (411, "How long is the sign?\n") unless $length =~ /^[0-9]{1,9}$/;
    return (413, "A sign has 1 to $LONGEST_SIGN bytes.\n") if $length < 1 || $length > $LONGEST_SIGN;
    if (length $rest < $length && ($headers{expect} // '') =~ /^100-continue$/i) {
        syswrite $client, "HTTP/1.1 100 Continue\r\n\r\n";
    }
    while (length $rest < $length) {
        sysread $client, $rest, $length - length $rest, length $rest or return (400, "The sign is cut off.\n");
    }
    my $sign = substr $rest, 0, $length;
    $sign =~ s/^\s+|\s+$//g;
    put('site/sign.txt', "$sign\n");
    return (200, "The sign now says: $sign\n");
}

sub page {
    my ($path, $without_body) = @_;
    $path =~ s/\?.*//;
    my ($file, $kind) = @{ $PAGES{$path} // [] };
    my $body = $file && content($file);
    return (404, "There is no such page.\n", undef, $without_body) unless defined $body;
    return (200, $body, $kind, $without_body);
}

sub answer {
    my ($client, $status, $body, $kind, $without_body) = @_;
    $kind //= 'text/plain; charset=utf-8';
    my $text = "HTTP/1.1 $status $REASONS{$status}\r\nServer: corner-shop\r\nContent-Type: $kind\r\n"
        . 'Content-Length: ' . length($body) . "\r\nConnection: close\r\n\r\n";
    $text .= $body unless $without_body;
    while (length $text) {
        my $written = syswrite $client, $text or return;
        substr $text, 0, $written, '';
    }
}

# Whether this process is the server of this directory: a pid may be another's by now.
sub is_ours {
    my ($pid) = @_;
    my $command = content("/proc/$pid/cmdline") // return 0;
    my ($here, $there) = map { join ' ', (stat)[0, 1] } '.', "/proc/$pid/cwd";
    return $command =~ /server\.pl/ && $here eq $there;
}

sub stop {
    my $pid = content('server/pid') // return;
    return unless $pid =~ /^([1-9][0-9]*)\s*$/;
    $pid = $1;
    for my $attempt (0 .. 99) {
        last unless is_ours($pid);
        kill $attempt < 50 ? 'TERM' : 'KILL', $pid;
        select undef, undef, undef, 0.05;
    }
    unlink 'server/pid';
}
