//! The master about itself, and what a dial found. §3.

use super::object::object;

object! {
    /// What `/info` says. Which members there are depends on the release (§3). A figure of 0 or -1 is one that the master
    /// cannot get; none is ever beyond 2⁶³ bytes.
    #[derive(Debug)]
    pub struct Info {
        /// The master's own alias. Since 1.7.
        optional "alias" alias: Box<str>,
        /// The processor, as Go or Rust names it: `amd64`, `x86_64`.
        optional "arch" arch: Box<str>,
        /// Per cent of all processors in use; -1 if unknown. Since 1.6.
        optional "cpu" cpu: i64,
        /// The path of the certificate, if one was given.
        optional "crt" crt: Box<str>,
        /// Bytes read from disks since the machine started, 0 if unknown. Since 1.6.
        optional "diskr" diskr: i64,
        /// Bytes written to disks since the machine started, 0 if unknown. Since 1.6.
        optional "diskw" diskw: i64,
        /// The path of the private key, if one was given.
        optional "key" key: Box<str>,
        /// The log level of the master's URL, empty if it has none.
        optional "log" log: Box<str>,
        /// Bytes of free memory; 1.6 only.
        optional "mem_free" mem_free: i64,
        /// Bytes of memory, 0 if unknown. Since 1.6.
        optional "mem_total" mem_total: i64,
        /// Bytes of memory in use. Since 1.7.
        optional "mem_used" mem_used: i64,
        /// The master's id, 16 hexadecimal digits; empty during its first run. Since 1.8.2.
        optional "mid" mid: Box<str>,
        /// The host of the master's URL, or its TLS server name; may be empty.
        optional "name" name: Box<str>,
        /// Bytes received since the machine started, without virtual interfaces, 0 if unknown. Since 1.6.
        optional "netrx" netrx: i64,
        /// Bytes sent since the machine started, without virtual interfaces, 0 if unknown. Since 1.6.
        optional "nettx" nettx: i64,
        /// The number of processors. Since 2.0.0-b3.
        optional "noc" noc: i64,
        /// The operating system, as in `linux`.
        optional "os" os: Box<str>,
        /// Bytes of free swap space; 1.6 only.
        optional "swap_free" swap_free: i64,
        /// Bytes of swap space, 0 if unknown. Since 1.6.
        optional "swap_total" swap_total: i64,
        /// Bytes of swap space in use. Since 1.7.
        optional "swap_used" swap_used: i64,
        /// Seconds since the machine started, 0 if unknown. Since 1.6.
        optional "sysup" sysup: i64,
        /// `0`, `1` or `2`: no TLS, a certificate of its own making, one from files.
        optional "tls" tls: Box<str>,
        /// Seconds since the master started.
        optional "uptime" uptime: i64,
        /// The release, as in `v1.6.0`.
        optional "ver" ver: Box<str>,
    }
}

object! {
    /// What a TCP connect from the master to somewhere has found.
    #[derive(Debug)]
    pub struct TcpingResult {
        /// Where to, as it was asked for.
        required "target" target: Box<str>,
        /// Whether it came about.
        required "connected" connected: bool,
        /// Milliseconds that it took; 0 if it did not come about.
        required "latency" latency: u64,
        /// Why it did not come about, in the words of the master's platform.
        nullable "error" error: Box<str>,
    }
}
