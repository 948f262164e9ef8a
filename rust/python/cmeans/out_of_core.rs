//! Fuzzy clusters of rows out of core: the passes are Python's, and so is what travels between them.

use super::{Centers, Counts, Fitted, Vector, rows_of};
use crate::engine::simd::{Pixel, Real};
use crate::methods::cmeans::{
    self as kernel, Clusters, Covariances, Members, MembershipSums, Memberships, Model, Options, Power, Source, Stage,
    State,
};
use crate::methods::moments::Moments;
use crate::python::arrays::{Pixels2, optional, values, with_rows};
use crate::python::out_of_core::{Items, OutOfCore, named};
use crate::python::run::run;
use crate::{Control, Error, Result, Rows};
use numpy::{Element, PyArray1, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// What `cmeans` does, of n × d data that `passes` visits: an object with the methods `moments()`, `visit(members, about, former)`, which
/// are those of `cmeans_visit` or, for memberships to start from, "start", and `save(state)`. It starts from a `state` that
/// was saved, from centres, or else from memberships. `double`: whether the arithmetic is that of float64 data.
#[pyfunction]
#[pyo3(signature = (passes, shape, k, *, double, centers, state, m, max_iter, tol, covariances))]
#[allow(clippy::too_many_arguments)]
fn cmeans_out_of_core<'py>(
    py: Python<'py>,
    passes: Py<PyAny>,
    shape: (usize, usize),
    k: usize,
    double: bool,
    centers: Option<Centers<'py>>,
    state: Option<Items<Saved<'py>>>,
    m: f64,
    max_iter: usize,
    tol: f64,
    covariances: Option<Covariances>,
) -> PyResult<Fitted<'py>> {
    let options = Options { m, max_iter, tol, covariances };
    let centers = centers.map(|centers| rows_of(&centers, shape.1)).transpose()?;
    let (centers, state) = (centers.as_deref(), state.map(|Items(saved)| saved.state()).transpose()?);
    let mut source = OutOfCore::new(passes, shape);
    let result = run(py, |control| {
        if double {
            kernel::fit::<f64>(&mut source, k, centers, state, &options, control)
        } else {
            kernel::fit::<f32>(&mut source, k, centers, state, &options, control)
        }
    });
    Fitted::new(py, source.explain(result)?, k, shape.1)
}

impl<R: Real + Element> Source<R> for OutOfCore {
    fn shape(&self) -> (usize, usize) {
        self.shape()
    }

    fn moments(&self, _: &Control) -> Result<Moments> {
        self.moments()
    }

    fn sums(&self, members: Members<'_, R>, about: &Model<R>, _: &Control) -> Result<MembershipSums> {
        pass(self, members, about, None)
    }

    fn iterate(
        &mut self,
        model: &Model<R>,
        former: Option<Members<'_, R>>,
        tol: f64,
        _: &Control,
    ) -> Result<(MembershipSums, bool)> {
        let sums = pass(self, Members::Of(model), model, former)?;
        let changed = sums.change > tol;
        Ok((sums, changed))
    }

    fn save(&self, state: &State) -> Result<()> {
        self.call(|passes| passes.call_method1("save", (Saved::new(passes.py(), state),)).map(drop))
    }
}

fn pass<R: Real + Element>(
    source: &OutOfCore,
    members: Members<'_, R>,
    about: &Model<R>,
    former: Option<Members<'_, R>>,
) -> Result<MembershipSums> {
    source.call(|passes| {
        let py = passes.py();
        let of = |members| match members {
            Members::Full => Ok(py.None().into_bound(py)),
            Members::Start => Ok("start".into_pyobject(py)?.into_any()),
            Members::Of(model) => PyResult::Ok(arrays_of(py, model)?.into_any()),
        };
        let former = former.map(of).transpose()?;
        let Items(summed): Items<Summed<'_>> =
            passes.call_method1("visit", (of(members)?, arrays_of(py, about)?, former))?.extract()?;
        let sums = summed.sums();
        sums.check(about.k, about.d, about.whitening.is_some())?;
        Ok(sums)
    })
}

/// A model as a dictionary of arrays of the type in which the kernel computes.
fn arrays_of<'py, R: Real + Element>(py: Python<'py>, model: &Model<R>) -> PyResult<Bound<'py, PyDict>> {
    let array = |values: &[R]| PyArray1::from_slice(py, values);
    let arrays = PyDict::new(py);
    arrays.set_item("m", model.m.f64())?;
    arrays.set_item("offset", array(&model.offset))?;
    arrays.set_item("factor", array(&model.factor))?;
    arrays.set_item("centers", array(&model.centers).reshape([model.k, model.d])?)?;
    arrays.set_item("whitening", model.whitening.as_deref().map(array))?;
    Ok(arrays)
}

fn model_of<R: Real + Element>(arrays: &Bound<'_, PyAny>) -> PyResult<Model<R>> {
    let array =
        |name| -> PyResult<Vec<R>> { Ok(values(&arrays.get_item(name)?.extract::<PyReadonlyArray1<'_, R>>()?)?) };
    let centers: PyReadonlyArray2<'_, R> = arrays.get_item("centers")?.extract()?;
    let (k, d) = centers.as_array().dim();
    Ok(Model {
        k,
        d,
        m: R::of(arrays.get_item("m")?.extract()?),
        offset: array("offset")?,
        factor: array("factor")?,
        centers: values(&centers)?,
        whitening: if arrays.get_item("whitening")?.is_none() { None } else { Some(array("whitening")?) },
    })
}

/// [`MembershipSums`]; in Python a dictionary.
#[derive(FromPyObject, IntoPyObject)]
#[pyo3(from_item_all)]
struct Summed<'py> {
    mass: Vector<'py>,
    products: Vector<'py>,
    objective: f64,
    change: f64,
}

impl<'py> Summed<'py> {
    fn new(py: Python<'py>, sums: &MembershipSums) -> Self {
        let [mass, products] = [&sums.mass, &sums.products].map(|x| PyArray1::from_slice(py, x));
        Self { mass, products, objective: sums.objective, change: sums.change }
    }

    fn sums(self) -> MembershipSums {
        let [mass, products] = [self.mass, self.products].map(|x| x.readonly().as_array().to_vec());
        MembershipSums { mass, products, objective: self.objective, change: self.change }
    }
}

const STAGES: [(&str, Stage); 5] = [
    ("memberships", Stage::Memberships),
    ("spherical", Stage::Spherical),
    ("base", Stage::Base),
    ("covariances", Stage::Covariances),
    ("iterations", Stage::Iterations),
];

/// [`State`]; in Python, and in a checkpoint, a dictionary, in which empty arrays are for what is not there yet.
#[derive(FromPyObject, IntoPyObject)]
#[pyo3(from_item_all)]
struct Saved<'py> {
    stage: String,
    from_memberships: bool,
    spherical: usize,
    base: f64,
    centers: Vector<'py>,
    whitening: Vector<'py>,
    covariances: Vector<'py>,
    former_centers: Vector<'py>,
    former_whitening: Vector<'py>,
    mass: Vector<'py>,
    products: Vector<'py>,
    objective: Vector<'py>,
    converged: bool,
    conditioned: Counts<'py>,
    empty: Counts<'py>,
}

impl<'py> Saved<'py> {
    fn new(py: Python<'py>, state: &State) -> Self {
        let array = |values: &[f64]| PyArray1::from_slice(py, values);
        let counts = |values: &[usize]| PyArray1::from_slice(py, values);
        let (former, sums) = (state.former.as_ref(), state.sums.as_ref());
        Self {
            stage: STAGES
                .iter()
                .filter(|(_, stage)| *stage == state.stage)
                .map(|(name, _)| (*name).to_owned())
                .collect(),
            from_memberships: state.from_memberships,
            spherical: state.spherical,
            base: state.base,
            centers: array(&state.clusters.centers),
            whitening: array(&state.clusters.whitening),
            covariances: array(&state.covariances),
            former_centers: array(former.map_or(&[], |clusters| &clusters.centers)),
            former_whitening: array(former.map_or(&[], |clusters| &clusters.whitening)),
            mass: array(sums.map_or(&[], |sums| &sums.mass)),
            products: array(sums.map_or(&[], |sums| &sums.products)),
            objective: array(&state.objective),
            converged: state.converged,
            conditioned: counts(&state.conditioned),
            empty: counts(&state.empty),
        }
    }

    fn state(self) -> Result<State> {
        fn values<X: Element + Copy>(array: &Bound<'_, PyArray1<X>>) -> Vec<X> {
            array.readonly().as_array().to_vec()
        }
        let clusters = |centers, whitening| Clusters { centers: values(centers), whitening: values(whitening) };
        let Some((_, stage)) = STAGES.iter().find(|(name, _)| *name == self.stage) else {
            return Err(Error::invalid("checkpoint", format!("stage {:?} is not known", self.stage)));
        };
        let former = Some(clusters(&self.former_centers, &self.former_whitening));
        let [mass, products] = [&self.mass, &self.products].map(values);
        let sums = Some(MembershipSums { mass, products, objective: 0.0, change: 0.0 });
        Ok(State {
            stage: *stage,
            from_memberships: self.from_memberships,
            spherical: self.spherical,
            base: self.base,
            clusters: clusters(&self.centers, &self.whitening),
            covariances: values(&self.covariances),
            former: former.filter(|clusters| !clusters.centers.is_empty()),
            sums: sums.filter(|sums| !sums.mass.is_empty()),
            objective: values(&self.objective),
            converged: self.converged,
            conditioned: values(&self.conditioned),
            empty: values(&self.empty),
        })
    }
}

/// One visit of some rows: what they add to the sums about the centres of `about`, and the largest change of a membership since
/// `former`, or infinity. `members` are the memberships of a model, those of an array or, if None, full ones. `weights`: what
/// every row counts for.
#[pyfunction]
#[pyo3(signature = (data, members, about, former, weights=None))]
fn cmeans_visit<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    members: Option<Bound<'py, PyAny>>,
    about: Bound<'py, PyAny>,
    former: Option<Bound<'py, PyAny>>,
    weights: Option<PyReadonlyArray1<'py, f64>>,
) -> PyResult<Summed<'py>> {
    let weights = optional(weights.as_ref())?;
    with_rows!(py, data, rows => visit(py, rows, members.as_ref(), &about, former.as_ref(), weights.as_deref()))
}

fn visit<'py, T>(
    py: Python<'py>,
    rows: Rows<'_, T>,
    members: Option<&Bound<'py, PyAny>>,
    about: &Bound<'py, PyAny>,
    former: Option<&Bound<'py, PyAny>>,
    weights: Option<&[f64]>,
) -> PyResult<Summed<'py>>
where
    T: Pixel,
    T::Real: Power + Element,
{
    let about = model_of::<T::Real>(about)?;
    let [members, former] = [members, former].map(|of| of.map(Owner::new).transpose());
    let (members, former) = (members?, former?);
    let members = members.as_ref().map_or(Ok(Memberships::Full), Owner::memberships)?;
    let former = former.as_ref().map(Owner::memberships).transpose()?;
    kernel::check_weights(weights, rows.n())?;
    let weights = kernel::rounded(weights);
    let sums = run(py, |control| kernel::sweep(rows, members, &about, former, &weights, control))?;
    Ok(Summed::new(py, &sums))
}

/// What [`Memberships`] borrow.
enum Owner<'py, R: Element> {
    Stored(PyReadonlyArray2<'py, R>),
    Of(Model<R>),
}

impl<'py, R: Real + Element> Owner<'py, R> {
    fn new(of: &Bound<'py, PyAny>) -> PyResult<Self> {
        if of.is_instance_of::<PyDict>() {
            model_of(of).map(Self::Of).map_err(|error| named(of.py(), error))
        } else {
            Ok(Self::Stored(of.extract()?))
        }
    }

    fn memberships(&self) -> PyResult<Memberships<'_, R>> {
        Ok(match self {
            Self::Stored(u) => Memberships::Stored(u.as_slice()?),
            Self::Of(model) => Memberships::Of(model),
        })
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(cmeans_out_of_core, module)?)?;
    module.add_function(wrap_pyfunction!(cmeans_visit, module)?)
}
