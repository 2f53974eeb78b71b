//! What people put behind a relay works behind this one: Redis, `PostgreSQL` and nginx under load, over TCP and over
//! Unix-domain sockets, without one failed request.

use monday_tests::needs_programs;
use monday_tests::port::free_port;
use monday_tests::world::World;

/// Runs a script to its end; in it `$PORT` is free, and `$d` is a folder for everybody.
fn run(script: &str) -> String {
    let world = World::new();
    let script = format!(
        "set -e\nPORT={}\nd=$(mktemp -d)\nchmod 755 $d\ntrap 'kill $server 2>/dev/null; wait $server; rm -rf $d' EXIT\n{script}",
        free_port()
    );
    world.sh(&script).expect_code(0).stdout
}

#[test]
fn redis_answers_every_request_of_its_benchmark() {
    needs_programs!("redis-server", "redis-benchmark");
    let told = run(r#"
redis-server --port $PORT --bind 127.0.0.1 --unixsocket $d/redis.sock --save '' --appendonly no >$d/log &
server=$!
until [ -S $d/redis.sock ]; do sleep 0.1; done
load="-t ping,set,get,lrange_100 -n 4000 -c 30 -q"
monday-tcpproxy --connect-wait 20s r@127.0.0.1:0=127.0.0.1:$PORT -- \
    sh -c "redis-benchmark -h \$MONDAY_HOST_R -p \$MONDAY_PORT_R $load"
monday-tcpproxy --connect-wait 20s r@unix:$d/front.sock=unix:$d/redis.sock -- \
    sh -c "redis-benchmark -s \$MONDAY_SOCKET_R $load"
"#);
    assert!(told.contains("requests per second"), "{told}");
    assert!(!told.to_lowercase().contains("error"), "{told}");
}

#[test]
fn postgresql_fails_no_transaction_of_its_benchmark() {
    needs_programs!("pgbench", "setpriv");
    let told = run(r#"
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
# PostgreSQL refuses to run as root.
as=""
if [ $(id -u) = 0 ]; then
    chown 65534:65534 $d
    as="setpriv --reuid=65534 --regid=65534 --clear-groups"
fi
cd $d
$as $bin/initdb -D $d/data -A trust -U postgres -N >$d/log
$as $bin/postgres -D $d/data -h 127.0.0.1 -p $PORT -k $d -F >>$d/log 2>&1 &
server=$!
mkdir $d/front
load="-U postgres -n -c 8 -j 2 -t 100 postgres"
monday-tcpproxy --connect-wait 20s \
    db@127.0.0.1:0=127.0.0.1:$PORT front@unix:$d/front/.s.PGSQL.5432=unix:$d/.s.PGSQL.$PORT -- sh -e -c "
    until pgbench -h \$MONDAY_HOST_DB -p \$MONDAY_PORT_DB -U postgres -i -q postgres 2>>$d/log; do sleep 0.2; done
    pgbench -h \$MONDAY_HOST_DB -p \$MONDAY_PORT_DB $load
    pgbench -h \$MONDAY_HOST_DB -p \$MONDAY_PORT_DB -C -S $load
    pgbench -h $d/front -p 5432 $load
"
"#);
    let clean = told.matches("number of failed transactions: 0 (0.000%)");
    assert_eq!(clean.count(), 3, "{told}");
    let whole = told.matches("number of transactions actually processed: 800/800");
    assert_eq!(whole.count(), 3, "{told}");
}

#[test]
fn nginx_fails_no_request_of_wrk() {
    needs_programs!("nginx", "wrk");
    let told = run(r#"
cat >$d/nginx.conf <<END
daemon off; pid $d/pid; error_log $d/log; worker_processes 1;
events { worker_connections 1024; }
http {
    access_log off; client_body_temp_path $d/t1; proxy_temp_path $d/t2; fastcgi_temp_path $d/t3; uwsgi_temp_path $d/t4; scgi_temp_path $d/t5;
    server { listen 127.0.0.1:$PORT; listen unix:$d/nginx.sock; location / { return 200 "hello\n"; } }
}
END
nginx -e $d/log -c $d/nginx.conf &
server=$!
until [ -S $d/nginx.sock ]; do sleep 0.1; done
chmod 777 $d/nginx.sock
monday-tcpproxy --connect-wait 20s web@127.0.0.1:0=127.0.0.1:$PORT \
    sockets@127.0.0.1:0=unix:$d/front.sock front@unix:$d/front.sock=unix:$d/nginx.sock -- sh -e -c '
    wrk -t 2 -c 40 -d 2s --timeout 20s http://$MONDAY_ADDR_WEB/
    wrk -t 2 -c 20 -d 2s --timeout 20s -H "Connection: close" http://$MONDAY_ADDR_WEB/
    wrk -t 2 -c 40 -d 2s --timeout 20s http://$MONDAY_ADDR_SOCKETS/
'
"#);
    assert_eq!(told.matches(" requests in ").count(), 3, "{told}");
    assert!(!told.contains(" 0 requests in "), "{told}");
    assert!(!told.contains("Socket errors"), "{told}");
    assert!(!told.contains("Non-2xx"), "{told}");
}
