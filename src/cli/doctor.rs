pub(super) async fn run(
    _: &super::context::Context,
    _: &super::args::ConnectionArguments,
) -> Result<super::exit::Exit, super::exit::Failure> {
    Ok(super::exit::Exit::Done)
}
